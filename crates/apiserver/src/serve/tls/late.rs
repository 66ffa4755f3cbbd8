//! Believes certificates of one group for some time after they expired.
//!
//! Who renews a certificate does so with the certificate. While the server was away nobody could,
//! and everybody would have to be let in anew by hand.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use x509_parser::prelude::FromDer as _;

use crate::authn::user_of_certificate;

#[derive(Debug)]
pub(super) struct Late {
    inner: Arc<dyn ClientCertVerifier>,
    group: String,
    grace: Duration,
}

impl Late {
    pub fn new(inner: Arc<dyn ClientCertVerifier>, group: &str, grace: Duration) -> Arc<Self> {
        Arc::new(Self { inner, group: group.to_owned(), grace })
    }

    /// The last second of a certificate of the group, if that is not too long ago.
    fn last_moment(&self, der: &[u8], now: UnixTime) -> Option<UnixTime> {
        let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
        let ended = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        let is_recent = now.as_secs().saturating_sub(ended) <= self.grace.as_secs();
        let is_one = user_of_certificate(der).is_some_and(|it| it.is_in(&self.group));
        let last = Duration::from_secs(ended);
        (is_recent && is_one).then(|| UnixTime::since_unix_epoch(last))
    }
}

impl ClientCertVerifier for Late {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        match &verified {
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => match self.last_moment(end_entity, now) {
                Some(then) => self.inner.verify_client_cert(end_entity, intermediates, then),
                None => verified,
            },
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use rustls::{RootCertStore, crypto::ring, pki_types::pem::PemObject as _};

    use super::*;
    use crate::pki::{Authority, Holder, request};

    #[track_caller]
    fn check(group: &str, late: i64, want: bool) {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let authority = Authority::create("test", now).unwrap();
        let holder = Holder {
            user: "a".into(),
            group: group.into(),
            uid: String::new(),
            dns_name: "a".into(),
            uri: "kogge://hub/cluster/a".into(),
        };
        let asked = request("a", "b").unwrap().request_pem;
        let pem = authority.certify(&asked, &holder, now, Duration::from_mins(1)).unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let inner = rustls::server::WebPkiClientVerifier::builder_with_provider(
            roots.into(),
            Arc::new(ring::default_provider()),
        );
        let verifier = Late::new(inner.build().unwrap(), "agents", Duration::from_secs(100));
        let at = now + SignedDuration::from_secs(60 + late);
        let at = Duration::from_secs(u64::try_from(at.as_second()).unwrap());
        let verified =
            verifier.verify_client_cert(&certificate, &[], UnixTime::since_unix_epoch(at));
        assert_eq!(verified.is_ok(), want, "{group}, {late} s late: {verified:?}");
    }

    #[test]
    fn a_certificate_of_the_group_is_believed_for_a_while_longer() {
        check("agents", -10, true);
        check("agents", 90, true);
        check("agents", 110, false);
        check("others", -10, true);
        check("others", 10, false);
    }
}
