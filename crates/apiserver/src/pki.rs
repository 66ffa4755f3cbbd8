//! The server's own certificate authority: kept on disk, and what it signs.

mod request;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

pub use self::request::{Facts, Holder, KeyAndRequest, facts, request, spki_sha256};
pub(crate) use self::request::{USER_UID, uris};

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("could not read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("could not make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("this is no certificate in PEM")]
    NotACertificate,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

/// Signs what the servers and clients of one installation show each other.
pub struct Authority {
    certificate_pem: String,
    key_pem: String,
}

impl Authority {
    /// A new authority that lives ten years.
    pub fn create(name: &str, now: Timestamp) -> Result<Self, PkiError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        lives(&mut params, now, 10);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// The authority kept in `dir`; made there, readable by the owner only, when there is none.
    pub fn load_or_create(dir: &Path, name: &str, now: Timestamp) -> Result<Self, PkiError> {
        let at = |file: &str| dir.join(file);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PkiError::File { path, source }
        };
        let (certificate, key) = (at(CERTIFICATE), at(KEY));
        // The key is written last: a start that was cut short begins anew.
        if certificate.exists() && key.exists() {
            let certificate_pem = fs::read_to_string(&certificate).map_err(failed(&certificate))?;
            let key_pem = fs::read_to_string(&key).map_err(failed(&key))?;
            return Ok(Self { certificate_pem, key_pem });
        }
        let authority = Self::create(name, now)?;
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let write = |path: &Path, pem: &str| {
            kogge_files::replace(path, pem.as_bytes()).map_err(failed(path))
        };
        write(&certificate, &authority.certificate_pem)?;
        write(&key, &authority.key_pem)?;
        Ok(authority)
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// For a server reached by these names and addresses; lives a year.
    pub fn server(&self, names: &[String], now: Timestamp) -> Result<Identity, PkiError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        let name = names.first().map_or("kogge", String::as_str);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth, now)
    }

    /// For a client: the user is the common name, its group the organization; lives a year.
    pub fn client(&self, user: &str, group: &str, now: Timestamp) -> Result<Identity, PkiError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.distinguished_name.push(DnType::CommonName, user);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
        now: Timestamp,
    ) -> Result<Identity, PkiError> {
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        lives(&mut params, now, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer()?)?;
        Ok(Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let key = KeyPair::from_pem(&self.key_pem)?;
        Ok(Issuer::from_ca_cert_pem(&self.certificate_pem, key)?)
    }
}

/// From yesterday, for clocks that are late, until `years` from now.
fn lives(params: &mut CertificateParams, now: Timestamp, years: i32) {
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = today.saturating_sub(1.day());
    let last = today.saturating_add(years.years());
    let moment = |date: Date| {
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(date.year().into(), part(date.month()), part(date.day()))
    };
    params.not_before = moment(first);
    params.not_after = moment(last);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn an_authority_is_kept_on_disk_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::load_or_create(dir.path(), "test", now()).unwrap();
        let again = Authority::load_or_create(dir.path(), "test", now()).unwrap();
        assert_eq!(first.certificate_pem(), again.certificate_pem());
        let mode = fs::metadata(dir.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_client_certificate_names_user_and_group() {
        let authority = Authority::create("test", now()).unwrap();
        let identity = authority.client("ada", "x", now()).unwrap();
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(identity.certificate_pem.as_bytes()).unwrap();
        let user = crate::authn::user_of_certificate(&pem.contents).unwrap();
        assert_eq!(user, crate::User::new("ada", ["x".to_owned()]));
    }
}
