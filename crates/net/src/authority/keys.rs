//! The fleet's keys on disk, and which of them counts when.
//!
//! A fleet has one key, and two while it is changed: the next is trusted by all before it signs,
//! and the last until nobody shows anything that it signed. All follows from the times that are
//! kept with the keys, so a hub that was down meanwhile goes on where it should be.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{AuthorityError, lives, public};
use crate::tls::GRACE;

const YEAR: Duration = Duration::from_hours(24 * 365);

/// One of the fleet's keys, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyReport {
    /// The first 16 hexadecimal digits of the SHA-256 of the public key.
    pub id: String,
    /// It is the one that signs now.
    pub signs: bool,
    pub signs_from: Timestamp,
    /// From then on nobody trusts it; none if no other is to come.
    pub trusted_until: Option<Timestamp>,
}

/// As it is kept. `Debug` is not derived: it would show the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    /// X.509, self-signed, DER in base64.
    certificate: String,
    /// PKCS#8 in base64.
    key: String,
    signs_from: Timestamp,
    trusted_until: Option<Timestamp>,
}

/// A key that can be used.
#[derive(Clone)]
pub(super) struct FleetKey {
    kept: Kept,
    pub pkcs8: Vec<u8>,
    pub certificate: CertificateDer<'static>,
}

impl FleetKey {
    fn create(fleet: &str, signs_from: Timestamp, now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, format!("kogge fleet {fleet}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        lives(&mut params, now, YEAR * 10);
        let certificate = params.self_signed(&key)?.der().clone();
        let pkcs8 = key.serialize_der();
        let kept = Kept {
            certificate: STANDARD.encode(&certificate),
            key: STANDARD.encode(&pkcs8),
            signs_from,
            trusted_until: None,
        };
        Ok(Self { kept, pkcs8, certificate })
    }

    fn open(kept: Kept) -> Result<Self, AuthorityError> {
        let bad = |field: &str| AuthorityError::Key(format!("{field} is not base64"));
        let certificate = STANDARD.decode(&kept.certificate).map_err(|_| bad("certificate"))?;
        let pkcs8 = STANDARD.decode(&kept.key).map_err(|_| bad("key"))?;
        let certificate = CertificateDer::from(certificate);
        let it = Self { kept, pkcs8, certificate };
        let public = it.public()?;
        let (_, read) = x509_parser::parse_x509_certificate(&it.certificate)
            .map_err(|_| AuthorityError::Key("certificate is none in DER".to_owned()))?;
        if *read.public_key().subject_public_key.data != public {
            return Err(AuthorityError::Key("the certificate is of another key".to_owned()));
        }
        Ok(it)
    }

    pub fn pair(&self) -> Result<Ed25519KeyPair, AuthorityError> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8)
            .map_err(|it| AuthorityError::Key(it.to_string()))
    }

    pub fn public(&self) -> Result<[u8; 32], AuthorityError> {
        self.pair().map(|it| public(&it))
    }
}

/// All keys of a fleet, the oldest first; never none.
#[derive(Clone)]
pub(super) struct FleetKeys(Vec<FleetKey>);

impl FleetKeys {
    pub fn create(fleet: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        Ok(Self(vec![FleetKey::create(fleet, now, now)?]))
    }

    /// Those in a file; `None` if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>, AuthorityError> {
        match fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AuthorityError::File { path: path.to_owned(), source }),
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, AuthorityError> {
        let kept: Vec<Kept> =
            serde_json::from_slice(bytes).map_err(|it| AuthorityError::Key(it.to_string()))?;
        if kept.is_empty() {
            return Err(AuthorityError::Key("there is none".to_owned()));
        }
        kept.into_iter().map(FleetKey::open).collect::<Result<_, _>>().map(Self)
    }

    pub fn write(&self, path: &Path) -> Result<(), AuthorityError> {
        let failed = |source| AuthorityError::File { path: path.to_owned(), source };
        let kept: Vec<&Kept> = self.0.iter().map(|it| &it.kept).collect();
        let text = serde_json::to_vec_pretty(&kept).expect("keys are plain JSON");
        kogge_files::replace(path, &text).map_err(failed)
    }

    /// The one that signs. A clock that goes back goes back to the one before.
    pub fn signing(&self, now: Timestamp) -> &FleetKey {
        let begun = self.0.iter().rfind(|it| it.kept.signs_from <= now);
        begun.unwrap_or(&self.0[0])
    }

    /// Those that are trusted.
    pub fn trusted(&self, now: Timestamp) -> impl Iterator<Item = &FleetKey> {
        self.0.iter().filter(move |it| it.kept.trusted_until.is_none_or(|until| now < until))
    }

    /// When the change that goes on is over.
    pub fn changing_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.trusted(now).filter_map(|it| it.kept.trusted_until).max()
    }

    /// One more key. What it signs counts for everybody who has had a certificate since now, so
    /// it begins when all certificates of now are over; the last is trusted until those are over
    /// that it signed until then, with their week of grace.
    pub fn change(
        &mut self,
        fleet: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        if let Some(until) = self.changing_until(now) {
            return Err(AuthorityError::Changing(until));
        }
        let next = FleetKey::create(fleet, now + life, now)?;
        let last = self.0.last_mut().expect("there is one");
        last.kept.trusted_until = Some(now + life * 2 + GRACE);
        self.0.push(next);
        Ok(())
    }

    /// Forgets whom nobody trusts; says whether there was one.
    pub fn forget(&mut self, now: Timestamp) -> bool {
        let before = self.0.len();
        self.0.retain(|it| it.kept.trusted_until.is_none_or(|until| now < until));
        self.0.len() < before
    }

    pub fn report(&self, now: Timestamp) -> Result<Vec<KeyReport>, AuthorityError> {
        let signing = self.signing(now).public()?;
        let report = |it: &FleetKey| {
            let public = it.public()?;
            let digest: [u8; 32] = Sha256::digest(public).into();
            let first = digest.first_chunk().map_or(0, |it| u64::from_be_bytes(*it));
            Ok(KeyReport {
                id: format!("{first:016x}"),
                signs: public == signing,
                signs_from: it.kept.signs_from,
                trusted_until: it.kept.trusted_until,
            })
        };
        self.trusted(now).map(report).collect()
    }
}

/// Whether that is the content of a file of the fleet's keys.
///
/// # Errors
/// If it is not, with the reason.
pub fn check_keys(bytes: &[u8]) -> Result<(), AuthorityError> {
    FleetKeys::parse(bytes).map(drop)
}

/// The file of the fleet's keys in a directory of gossip.
pub fn keys_file(dir: &Path) -> PathBuf {
    dir.join("fleet.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    /// Which keys are trusted and which one signs, by their place.
    fn state(keys: &FleetKeys, hours: i64) -> (Vec<usize>, usize) {
        let place = |key: &FleetKey| keys.0.iter().position(|it| it.kept == key.kept).unwrap();
        (keys.trusted(at(hours)).map(place).collect(), place(keys.signing(at(hours))))
    }

    #[test]
    fn the_next_key_is_trusted_before_it_signs_and_the_last_until_nobody_shows_it() {
        let mut keys = FleetKeys::create("f", at(0)).unwrap();
        assert_eq!(state(&keys, 1_000), (vec![0], 0));
        keys.change("f", DAY, at(1_000)).unwrap();
        assert_eq!(state(&keys, 1_000), (vec![0, 1], 0));
        assert_eq!(state(&keys, 1_023), (vec![0, 1], 0));
        assert_eq!(state(&keys, 1_024), (vec![0, 1], 1));
        // A clock that went back.
        assert_eq!(state(&keys, 1_010), (vec![0, 1], 0));
        let over = 1_000 + 2 * 24 + 7 * 24;
        assert_eq!(state(&keys, over - 1), (vec![0, 1], 1));
        assert_eq!(state(&keys, over), (vec![1], 1));
        let early = keys.change("f", DAY, at(over - 1)).map_err(|it| it.to_string());
        assert!(early.is_err_and(|it| it.contains("1970-02-20T15:00:00Z")));
        assert!(!keys.forget(at(over - 1)) && keys.forget(at(over)));
        assert_eq!(state(&keys, over), (vec![0], 0));
        keys.change("f", DAY, at(over)).unwrap();
        assert_eq!(keys.report(at(over)).unwrap().len(), 2);
    }

    #[test]
    fn keys_come_back_from_disk_and_what_is_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = keys_file(dir.path());
        assert!(FleetKeys::read(&path).unwrap().is_none());
        let mut keys = FleetKeys::create("f", at(0)).unwrap();
        keys.change("f", DAY, at(1)).unwrap();
        keys.write(&path).unwrap();
        let read = FleetKeys::read(&path).unwrap().unwrap();
        assert_eq!(read.report(at(1)).unwrap(), keys.report(at(1)).unwrap());

        let other = FleetKeys::create("f", at(0)).unwrap();
        let mut mixed = keys.0[0].kept.clone();
        mixed.key = other.0[0].kept.key.clone();
        let mixed = serde_json::to_vec(&[mixed]).unwrap();
        for (bytes, want) in [
            (&b"[]"[..], "there is none"),
            (b"{}", "expected a sequence"),
            (&mixed, "the certificate is of another key"),
        ] {
            let why = check_keys(bytes).unwrap_err().to_string();
            assert!(why.contains(want), "{why}");
        }
    }
}
