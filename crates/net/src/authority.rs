//! The fleet's key: it signs certificates for links, credentials for records, and floors.
//!
//! One Ed25519 key of the hub is all three, so that one file is the fleet's identity.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use kogge_gossip::{Floor, Name, Signature};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SubjectPublicKeyInfo,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::identity::{Identity, MemberKey, signed_by};

const KEY: &str = "fleet.key";
const CERTIFICATE: &str = "fleet.crt";

/// A public key as X.509 wants it: this and the 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A certificate is good from a little before now on, for clocks that are late.
const LATE_CLOCKS: Duration = Duration::from_hours(24);

const YEAR: Duration = Duration::from_hours(24 * 365);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("could not read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("could not make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("the fleet's key cannot be used: {0}")]
    Key(String),
}

/// What members trust: given to each with its certificate. Several authorities overlap while a
/// fleet's key is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The fleet's id, which every signature covers.
    pub fleet: String,
    /// Certificates of authorities, DER.
    pub authorities: Vec<Vec<u8>>,
    /// The keys behind them.
    pub keys: Vec<[u8; 32]>,
}

/// What the hub gives a member for its public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Names the member; for links. DER.
    pub certificate: Vec<u8>,
    /// Binds name, uid and key; part of the member's head.
    pub credential: Vec<u8>,
    pub trust: Trust,
}

/// The fleet's key, which only a hub has.
pub struct Authority {
    fleet: String,
    pkcs8: Vec<u8>,
    key: Ed25519KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// A new key, good for ten years.
    pub fn create(fleet: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, format!("kogge fleet {fleet}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        lives(&mut params, now, YEAR * 10);
        let certificate = params.self_signed(&key)?.der().clone();
        Self::open(fleet, key.serialize_der(), certificate)
    }

    /// The key kept in `dir`; made there, readable by the owner only, when there is none.
    pub fn load_or_create(dir: &Path, fleet: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let (key, certificate) = (dir.join(KEY), dir.join(CERTIFICATE));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AuthorityError::File { path, source }
        };
        // The key is written last: a start that was cut short begins anew.
        if key.exists() {
            let pkcs8 = fs::read(&key).map_err(failed(&key))?;
            let der = fs::read(&certificate).map_err(failed(&certificate))?;
            return Self::open(fleet, pkcs8, der.into());
        }
        let made = Self::create(fleet, now)?;
        fs::create_dir_all(dir).map_err(failed(dir))?;
        kogge_files::replace(&certificate, &made.certificate).map_err(failed(&certificate))?;
        kogge_files::replace(&key, &made.pkcs8).map_err(failed(&key))?;
        Ok(made)
    }

    fn open(
        fleet: &str,
        pkcs8: Vec<u8>,
        certificate: CertificateDer<'static>,
    ) -> Result<Self, AuthorityError> {
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|it| AuthorityError::Key(it.to_string()))?;
        Ok(Self { fleet: fleet.to_owned(), pkcs8, key, certificate })
    }

    pub fn trust(&self) -> Trust {
        Trust {
            fleet: self.fleet.clone(),
            authorities: vec![self.certificate.to_vec()],
            keys: vec![public(&self.key)],
        }
    }

    /// Admits a member: its name and identity are bound to its key for so long.
    pub fn issue(
        &self,
        name: &Name,
        uid: &[u8; 16],
        key: &[u8; 32],
        life: Duration,
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let mut params = CertificateParams::new(vec![name.to_string()])?;
        params.distinguished_name.push(DnType::CommonName, name.to_string());
        params.distinguished_name.push(DnType::OrganizationName, self.fleet.clone());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        lives(&mut params, now, life);
        let subject = SubjectPublicKeyInfo::from_der(&[&SPKI_PREFIX[..], key].concat())?;
        let signer = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(&self.pkcs8[..]),
            &PKCS_ED25519,
        )?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, signer)?;
        let certificate = params.signed_by(&subject, &issuer)?.der().to_vec();
        let signature = self.key.sign(&signed_by::credential(&self.fleet, name.as_str(), uid, key));
        let credential = [&key[..], signature.as_ref()].concat();
        Ok(Issued { certificate, credential, trust: self.trust() })
    }

    /// A member whose key is made here: the hub itself, and members in the hub's process.
    pub fn identity(
        &self,
        name: &Name,
        uid: &[u8; 16],
        life: Duration,
        now: Timestamp,
    ) -> Result<Identity, AuthorityError> {
        let key = MemberKey::generate().map_err(AuthorityError::Key)?;
        let issued = self.issue(name, uid, &key.public(), life, now)?;
        Ok(Identity { name: name.clone(), uid: *uid, key, issued })
    }

    /// The record of a floor: what removes a member, or admits it again.
    pub fn floor(&self, name: &Name, floor: &Floor) -> Vec<u8> {
        floor.seal(name.as_str(), |signed| self.sign(signed))
    }

    fn sign(&self, signed: &[u8]) -> Signature {
        signature(&self.key, &signed_by::hub(&self.fleet, signed))
    }
}

/// Signs with Ed25519.
pub(crate) fn signature(key: &Ed25519KeyPair, signed: &[u8]) -> Signature {
    key.sign(signed).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
}

pub(crate) fn public(key: &Ed25519KeyPair) -> [u8; 32] {
    key.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes")
}

fn lives(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let at = |it: Timestamp| {
        let seconds = u64::try_from(it.as_second()).unwrap_or(0);
        std::time::UNIX_EPOCH + Duration::from_secs(seconds)
    };
    params.not_before = (at(now) - LATE_CLOCKS).into();
    params.not_after = (at(now) + life).into();
}
