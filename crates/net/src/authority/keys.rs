//! The fleet's keys on disk, and which of them counts when.
//!
//! A fleet has one key, and two while one follows the other. A certificate counts for its life and
//! a week of grace, so that is how long the next key is trusted before it signs, and the last one
//! after it has signed for the last time: whoever shows a certificate that counts trusts all that
//! others show. All follows from the times that are kept with the keys and from the hub's clock; so
//! a hub that was down goes on where it should be, and one whose clock was wrong too: the last key
//! stays in the file until the next rotation.

use std::{
    cmp::Ordering,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
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
    pub pair: Arc<Ed25519KeyPair>,
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
        let certificate = params.self_signed(&key)?;
        Self::open(Kept {
            certificate: STANDARD.encode(certificate.der()),
            key: STANDARD.encode(key.serialize_der()),
            signs_from,
            trusted_until: None,
        })
    }

    fn open(kept: Kept) -> Result<Self, AuthorityError> {
        let bad = |what: &str| AuthorityError::Key(what.to_owned());
        let certificate =
            STANDARD.decode(&kept.certificate).map_err(|_| bad("certificate is not base64"))?;
        let pkcs8 = STANDARD.decode(&kept.key).map_err(|_| bad("key is not base64"))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|it| AuthorityError::Key(it.to_string()))?;
        let (_, read) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| bad("certificate is none in DER"))?;
        if *read.public_key().subject_public_key.data != public(&pair) {
            return Err(bad("the certificate is of another key"));
        }
        Ok(Self { kept, pkcs8, pair: Arc::new(pair), certificate: certificate.into() })
    }

    pub fn public(&self) -> [u8; 32] {
        public(&self.pair)
    }

    fn is_trusted(&self, now: Timestamp) -> bool {
        self.kept.trusted_until.is_none_or(|until| now < until)
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
            Err(why) => Err(AuthorityError::File { path: path.to_owned(), why }),
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, AuthorityError> {
        let kept: Vec<Kept> =
            serde_json::from_slice(bytes).map_err(|it| AuthorityError::Key(it.to_string()))?;
        let Some((last, before)) = kept.split_last() else {
            return Err(AuthorityError::Key("there is none".to_owned()));
        };
        let follow = kept.windows(2).all(|it| it[0].signs_from <= it[1].signs_from);
        let end = before.iter().all(|it| it.trusted_until.is_some());
        if !follow || !end || last.trusted_until.is_some() {
            let why = "keys follow one another, and each but the last has a trustedUntil";
            return Err(AuthorityError::Key(why.to_owned()));
        }
        kept.into_iter().map(FleetKey::open).collect::<Result<_, _>>().map(Self)
    }

    pub fn write(&self, path: &Path) -> Result<(), AuthorityError> {
        let failed = |why| AuthorityError::File { path: path.to_owned(), why };
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
        self.0.iter().filter(move |it| it.is_trusted(now))
    }

    /// Those, and the last one although nobody trusts it any more.
    pub fn all(&self) -> impl Iterator<Item = &FleetKey> {
        self.0.iter()
    }

    /// When the rotation that goes on is over.
    pub fn rotating_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.trusted(now).filter_map(|it| it.kept.trusted_until).max()
    }

    /// One more key, and none but it and the one that signs. Certificates live for `life`.
    pub fn rotate(
        &mut self,
        fleet: &str,
        life: Duration,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        if let Some(until) = self.rotating_until(now) {
            return Err(AuthorityError::Rotating(until));
        }
        let signs_from = now + life + GRACE;
        let next = FleetKey::create(fleet, signs_from, now)?;
        self.0.retain(|it| it.is_trusted(now));
        for last in &mut self.0 {
            // Made by a clock that was ahead, it has signed all the same.
            last.kept.signs_from = last.kept.signs_from.min(now);
            last.kept.trusted_until = Some(signs_from + life + GRACE);
        }
        self.0.push(next);
        Ok(())
    }

    pub fn report(&self, now: Timestamp) -> Vec<KeyReport> {
        let signing = self.signing(now).public();
        let report = |it: &FleetKey| {
            let public = it.public();
            let digest = Sha256::digest(public);
            KeyReport {
                id: digest.iter().take(8).fold(String::new(), |id, it| id + &format!("{it:02x}")),
                signs: public == signing,
                signs_from: it.kept.signs_from,
                trusted_until: it.kept.trusted_until,
            }
        };
        self.trusted(now).map(report).collect()
    }
}

/// How two files of keys that are of one fleet stand to each other: the later one has been rotated
/// since. `None` if they have no key in common.
#[must_use]
pub fn compare_keys(one: &[u8], other: &[u8]) -> Option<Ordering> {
    let (one, other) = (FleetKeys::parse(one).ok()?, FleetKeys::parse(other).ok()?);
    let of_other: Vec<[u8; 32]> = other.all().map(FleetKey::public).collect();
    let share = one.all().any(|it| of_other.contains(&it.public()));
    let last = |keys: &FleetKeys| keys.all().last().map(|it| it.kept.signs_from);
    share.then(|| last(&one).cmp(&last(&other)))
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
        keys.rotate("f", DAY, at(1_000)).unwrap();
        let counts = 24 + 7 * 24;
        let (signs, over) = (1_000 + counts, 1_000 + 2 * counts);
        assert_eq!(state(&keys, 1_000), (vec![0, 1], 0));
        assert_eq!(state(&keys, signs - 1), (vec![0, 1], 0));
        assert_eq!(state(&keys, signs), (vec![0, 1], 1));
        assert_eq!(state(&keys, over - 1), (vec![0, 1], 1));
        assert_eq!(state(&keys, over), (vec![1], 1));
        // A clock that went back, from any time.
        assert_eq!(state(&keys, 1_010), (vec![0, 1], 0));
        let early = keys.rotate("f", DAY, at(over - 1)).map_err(|it| it.to_string());
        assert_eq!(
            early.unwrap_err(),
            format!("the fleet's key is being rotated already, until {}", at(over))
        );
        keys.rotate("f", DAY, at(over)).unwrap();
        assert_eq!(state(&keys, over), (vec![0, 1], 0));
        assert_eq!(keys.report(at(over)).len(), 2);

        // Made by a clock that was ahead.
        let mut keys = FleetKeys::create("f", at(9_000)).unwrap();
        keys.rotate("f", DAY, at(0)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        keys.write(&keys_file(dir.path())).unwrap();
        let read = FleetKeys::read(&keys_file(dir.path())).unwrap().unwrap();
        assert_eq!(state(&read, 0), (vec![0, 1], 0));
    }

    #[test]
    fn keys_come_back_from_disk_and_what_is_none_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = keys_file(dir.path());
        assert!(FleetKeys::read(&path).unwrap().is_none());
        let mut keys = FleetKeys::create("f", at(0)).unwrap();
        keys.write(&path).unwrap();
        let before = fs::read(&path).unwrap();
        keys.rotate("f", DAY, at(1)).unwrap();
        keys.write(&path).unwrap();
        let read = FleetKeys::read(&path).unwrap().unwrap();
        assert_eq!(read.report(at(1)), keys.report(at(1)));

        let other = FleetKeys::create("f", at(0)).unwrap();
        other.write(&path).unwrap();
        let theirs = fs::read(&path).unwrap();
        keys.write(&path).unwrap();
        let after = fs::read(&path).unwrap();
        assert_eq!(compare_keys(&after, &before), Some(Ordering::Greater));
        assert_eq!(compare_keys(&before, &after), Some(Ordering::Less));
        assert_eq!(compare_keys(&before, &before), Some(Ordering::Equal));
        assert_eq!(compare_keys(&before, &theirs), None);

        let kept = |at: usize| keys.0[at].kept.clone();
        let mixed = Kept { key: other.0[0].kept.key.clone(), ..kept(1) };
        let follow = "keys follow one another";
        for (spoilt, want) in [
            (vec![], "there is none"),
            (vec![mixed], "the certificate is of another key"),
            (vec![kept(1), kept(0)], follow),
            (vec![kept(0)], follow),
            (vec![kept(1), kept(1)], follow),
        ] {
            let why = check_keys(&serde_json::to_vec(&spoilt).unwrap()).unwrap_err().to_string();
            assert!(why.contains(want), "{why}");
        }
        assert!(check_keys(b"{}").unwrap_err().to_string().contains("expected a sequence"));
    }
}
