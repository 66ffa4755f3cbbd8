//! Certificates for keys that stay where they were made: the request, and its signing.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd, string::Ia5String,
};
use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::{Authority, PkiError};

/// For clocks that are late.
const BACKDATED: Duration = Duration::from_mins(5);

/// The attribute of a subject that is the user's uid, as Kubernetes reads it.
pub(crate) const USER_UID: &[u64] = &[1, 3, 6, 1, 4, 1, 57683, 2];

/// Whom a certificate is for: a peer that both serves and dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub user: String,
    pub group: String,
    /// Becomes the uid of the user.
    pub uid: String,
    pub dns_name: String,
    pub uri: String,
}

/// A new private key, and the request for a certificate of it; both PEM.
#[derive(Clone)]
pub struct KeyAndRequest {
    pub key_pem: String,
    pub request_pem: String,
}

/// Makes a key and asks that it be certified as `user` in `group`.
pub fn request(user: &str, group: &str) -> Result<KeyAndRequest, PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::OrganizationName, group);
    params.distinguished_name.push(DnType::CommonName, user);
    let key = KeyPair::generate()?;
    let request_pem = params.serialize_request(&key)?.pem()?;
    Ok(KeyAndRequest { key_pem: key.serialize_pem(), request_pem })
}

/// SHA-256 of the public key of a certificate (its SubjectPublicKeyInfo), by which it is pinned.
pub fn spki_sha256(certificate_pem: &str) -> Result<[u8; 32], PkiError> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
        .map_err(|_| PkiError::NotACertificate)?;
    let (_, certificate) =
        X509Certificate::from_der(&pem.contents).map_err(|_| PkiError::NotACertificate)?;
    Ok(Sha256::digest(certificate.public_key().raw).into())
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub expires: Timestamp,
    /// The first URI among its names.
    pub uri: Option<String>,
}

/// Reads the first certificate of a PEM text.
pub fn facts(certificate_pem: &str) -> Result<Facts, PkiError> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
        .map_err(|_| PkiError::NotACertificate)?;
    let (_, certificate) =
        X509Certificate::from_der(&pem.contents).map_err(|_| PkiError::NotACertificate)?;
    let expires = Timestamp::from_second(certificate.validity().not_after.timestamp())
        .map_err(|_| PkiError::NotACertificate)?;
    Ok(Facts { expires, uri: uris(&certificate).into_iter().next() })
}

/// The URIs among its names.
pub(crate) fn uris(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|it| &it.value.general_names);
    let uris = names.filter_map(|it| match it {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    uris.collect()
}

impl Authority {
    /// A certificate of `holder` for the key of a PEM request, PEM. Of what the request says only
    /// the key is used; one that is not signed by that key is refused.
    pub fn certify(
        &self,
        request_pem: &str,
        holder: &Holder,
        now: Timestamp,
        life: Duration,
    ) -> Result<String, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(request_pem)?;
        let ia5 = |text: &str| Ia5String::try_from(text.to_owned());
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::OrganizationName, &holder.group);
        params.distinguished_name.push(DnType::CommonName, &holder.user);
        params.distinguished_name.push(DnType::CustomDnType(USER_UID.to_vec()), &holder.uid);
        params.subject_alt_names =
            vec![SanType::DnsName(ia5(&holder.dns_name)?), SanType::URI(ia5(&holder.uri)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let moment = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = moment - BACKDATED;
        params.not_after = moment + life;
        Ok(params.signed_by(&request.public_key, &self.issuer()?)?.pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_the_signer_says_and_not_what_was_asked() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let authority = Authority::create("test", now).unwrap();
        let asked = request("system:masters", "system:masters").unwrap();
        let holder = Holder {
            user: "system:cluster:eu".into(),
            group: "system:clusters".into(),
            uid: "1234".into(),
            dns_name: "eu".into(),
            uri: "kogge://hub/cluster/eu".into(),
        };
        let life = Duration::from_secs(90);
        let pem = authority.certify(&asked.request_pem, &holder, now, life).unwrap();
        let facts = facts(&pem).unwrap();
        assert_eq!(facts.uri.as_deref(), Some("kogge://hub/cluster/eu"));
        assert_eq!(facts.expires.as_second(), now.as_second() + 90);
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let user = crate::authn::user_of_certificate(&pem.contents).unwrap();
        assert_eq!(user.name, "system:cluster:eu");
        assert_eq!((user.uid.as_str(), user.is_master()), ("1234", false));
        assert!(user.is_in("system:clusters"));
        assert_eq!(user.extra[crate::user::CERTIFICATE_URIS], ["kogge://hub/cluster/eu"]);
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let authority = Authority::create("test", now).unwrap();
        let holder = Holder {
            user: String::new(),
            group: String::new(),
            uid: String::new(),
            dns_name: "a".into(),
            uri: "a://b".into(),
        };
        assert!(authority.certify("nonsense", &holder, now, Duration::ZERO).is_err());
        assert!(spki_sha256("nonsense").is_err());
    }
}
