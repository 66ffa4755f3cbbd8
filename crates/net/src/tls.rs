//! Who may link to whom: TLS 1.3, both sides with a certificate of the fleet.
//!
//! A certificate that has expired is good for another week: it is the hub that renews it, and a
//! fleet outlives its hub. Who is removed is known by its name: see `links`.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use kogge_gossip::Name;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::identity::Identity;

/// How long an expired certificate goes on being one.
pub(crate) const GRACE: Duration = Duration::from_hours(7 * 24);

/// Of links that carry frames.
const FRAMES: &[u8] = b"kogge-gossip/2";

/// Of TCP connections that are one stream to the hub.
pub(crate) const CARRIED: &[u8] = b"kogge-carried/1";

/// A placeholder: whose certificate it is is read from the certificate, not asked for.
pub(crate) const ANY_NAME: &str = "member";

/// The TLS of one member, for both ends of its links.
#[derive(Clone)]
pub(crate) struct Tls {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
    /// The client's, for a stream to the hub.
    pub carried: Arc<ClientConfig>,
}

impl Tls {
    pub fn new(identity: &Identity, now: fn() -> Timestamp) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in &identity.issued.trust.authorities {
            roots.add(CertificateDer::from(authority.clone()))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|it| Error::General(it.to_string()))?;
        let verifier = Arc::new(Verifier { chains, now, provider: provider.clone() });
        let chain = vec![CertificateDer::from(identity.issued.certificate.clone())];
        let key = || PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.pkcs8().to_vec()));
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(chain.clone(), key())?;
        // Each link is judged anew by its certificates.
        server.send_tls13_tickets = 0;
        server.alpn_protocols = vec![FRAMES.to_vec(), CARRIED.to_vec()];
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key())?;
        client.resumption = Resumption::disabled();
        let mut carried = client.clone();
        client.alpn_protocols = vec![FRAMES.to_vec()];
        carried.alpn_protocols = vec![CARRIED.to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client), carried: Arc::new(carried) })
    }
}

/// The one name on a certificate; `None` if there is not exactly one that is a member's.
pub(crate) fn name_of(certificate: &CertificateDer<'_>) -> Option<Name> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let [GeneralName::DNSName(name)] = &names.value.general_names[..] else { return None };
    Name::new(name)
}

/// When a certificate expires.
pub(crate) fn expires(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok().map(Duration::from_secs)
}

/// Of both ends: signed by the fleet, one name on it, not expired for long. Who is removed is known
/// by its name once the link is open.
struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    now: fn() -> Timestamp,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let name = name_of(certificate).ok_or_else(bad)?;
        let now = u64::try_from((self.now)().as_second()).unwrap_or(0);
        let now = Duration::from_secs(now);
        let expires = expires(certificate).ok_or_else(bad)?;
        // In its week of grace it is judged as on its last second.
        let at = if expires < now && now < expires + GRACE { expires } else { now };
        let name = ServerName::try_from(name.to_string()).map_err(|_| bad())?;
        let at = UnixTime::since_unix_epoch(at);
        self.chains.verify_server_cert(certificate, between, &name, &[], at).map(|_| ())
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }
}

/// TLS 1.2 is not offered, so this is never asked.
fn too_old() -> Error {
    Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, between).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate, between).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use proptest::prelude::*;

    #[test]
    fn a_certificate_has_a_member_s_name() {
        assert_eq!(name_of(&certificate().into()), Name::new("eu"));
    }

    fn certificate() -> Vec<u8> {
        let at = Timestamp::UNIX_EPOCH;
        let name = Name::new("eu").expect("a name");
        let made = Authority::create("fleet", at)
            .and_then(|it| it.identity(&name, &[7; 16], GRACE, at))
            .expect("an identity");
        made.issued.certificate
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_are_none(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            ends in any::<prop::sample::Index>(),
        ) {
            let mut changed = certificate();
            for (at, byte) in changes {
                *at.get_mut(&mut changed) = byte;
            }
            changed.truncate(1 + ends.index(changed.len()));
            for bytes in [bytes, changed] {
                let certificate = CertificateDer::from(bytes);
                let _ = (name_of(&certificate), expires(&certificate));
            }
        }
    }
}
