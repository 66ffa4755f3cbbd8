//! The fleet's key: it signs certificates for links, credentials for records, and floors.
//!
//! One Ed25519 key of the hub is all three, so that one file is the fleet's identity. How one key
//! follows another: see `keys`.

mod keys;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use jiff::Timestamp;
use kogge_gossip::{Floor, Head, Name, RecordRef, Signature};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SubjectPublicKeyInfo,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};

use self::keys::{FleetKey, FleetKeys};
pub use self::keys::{KeyReport, check_keys, compare_keys, keys_file};
use crate::{
    identity::{Identity, MemberKey, is_by, signed_by},
    tls::expires,
};

/// A public key as X.509 wants it: this and the 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A certificate is good from a little before now on, for clocks that are late.
const LATE_CLOCKS: Duration = Duration::from_hours(24);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("could not read or write {path}: {why}")]
    File { path: PathBuf, why: io::Error },
    #[error("could not make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("the fleet's key cannot be used: {0}")]
    Key(String),
    #[error("the fleet's key is being rotated already, until {0}")]
    Rotating(Timestamp),
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

impl Issued {
    /// When the certificate ends, its week of grace aside; `None` if it is none.
    pub fn expires(&self) -> Option<Timestamp> {
        let seconds = expires(&self.certificate.as_slice().into())?.as_secs();
        Timestamp::from_second(seconds.try_into().ok()?).ok()
    }
}

/// The fleet's keys, which only a hub has.
pub struct Authority {
    fleet: String,
    /// Where they are kept; none of those that are made for a moment.
    file: Option<PathBuf>,
    keys: RwLock<FleetKeys>,
    /// Held while they are written, so that readers do not wait for the disk.
    rotating: Mutex<()>,
}

impl Authority {
    /// A new key, good for ten years.
    pub fn create(fleet: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        Ok(Self::of(fleet, FleetKeys::create(fleet, now)?, None))
    }

    /// The keys kept in `dir`; one is made there, readable by the owner only, when there is none.
    pub fn load_or_create(dir: &Path, fleet: &str, now: Timestamp) -> Result<Self, AuthorityError> {
        let path = keys_file(dir);
        if let Some(keys) = FleetKeys::read(&path)? {
            return Ok(Self::of(fleet, keys, Some(path)));
        }
        let keys = FleetKeys::create(fleet, now)?;
        fs::create_dir_all(dir)
            .map_err(|why| AuthorityError::File { path: dir.to_owned(), why })?;
        keys.write(&path)?;
        Ok(Self::of(fleet, keys, Some(path)))
    }

    fn of(fleet: &str, keys: FleetKeys, file: Option<PathBuf>) -> Self {
        Self { fleet: fleet.to_owned(), file, keys: RwLock::new(keys), rotating: Mutex::new(()) }
    }

    fn keys(&self) -> RwLockReadGuard<'_, FleetKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom members trust.
    pub fn trust(&self, now: Timestamp) -> Trust {
        let keys = self.keys();
        Trust {
            fleet: self.fleet.clone(),
            authorities: keys.trusted(now).map(|it| it.certificate.to_vec()).collect(),
            keys: keys.trusted(now).map(FleetKey::public).collect(),
        }
    }

    /// Whom the hub trusts: also what the last key has signed, though nobody is let in by it. Only
    /// so it sees what others still have of it, and can put that right.
    pub fn own_trust(&self, now: Timestamp) -> Trust {
        let keys = self.keys().all().map(FleetKey::public).collect();
        Trust { keys, ..self.trust(now) }
    }

    /// Begins to rotate the key: the next is trusted from now on, and signs once no certificate of
    /// before counts any more, each of which lives for `life`. Durable when this returns.
    ///
    /// # Errors
    /// If it is being rotated already, or the keys cannot be written.
    pub fn rotate(&self, life: Duration, now: Timestamp) -> Result<(), AuthorityError> {
        let _one = self.rotating.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.keys().clone();
        keys.rotate(&self.fleet, life, now)?;
        let written = self.file.as_ref().map_or(Ok(()), |file| keys.write(file));
        if written.is_err() {
            // It may have come as far as the file all the same.
            let there = self.file.as_ref().map_or(Ok(None), |file| FleetKeys::read(file));
            let Ok(Some(there)) = there else { return written };
            keys = there;
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        written
    }

    /// The keys that are trusted, the oldest first.
    pub fn report(&self, now: Timestamp) -> Vec<KeyReport> {
        self.keys().report(now)
    }

    /// Whether what a member's head says of its key was signed by a key that is trusted.
    #[must_use]
    pub fn has_admitted(&self, name: &Name, head: &Head, now: Timestamp) -> bool {
        let Some((key, signature)) = head.credential.split_first_chunk::<32>() else {
            return false;
        };
        let signed = signed_by::credential(&self.fleet, name.as_str(), &head.uid, key);
        let by = |it: &FleetKey| is_by(&it.public(), &signed, signature);
        self.keys().trusted(now).any(by)
    }

    /// Whether a floor's record is by the key that signs now.
    #[must_use]
    pub fn has_signed(&self, floor: &[u8], now: Timestamp) -> bool {
        let key = self.keys().signing(now).public();
        RecordRef::read(floor).is_ok_and(|record| {
            is_by(&key, &signed_by::hub(&self.fleet, record.signed()), record.signature())
        })
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
        let signing = self.keys().signing(now).clone();
        let signer = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(&signing.pkcs8[..]),
            &PKCS_ED25519,
        )?;
        let issuer = Issuer::from_ca_cert_der(&signing.certificate, signer)?;
        let certificate = params.signed_by(&subject, &issuer)?.der().to_vec();
        let credential = self.credential(name, uid, key, now);
        Ok(Issued { certificate, credential, trust: self.trust(now) })
    }

    fn credential(&self, name: &Name, uid: &[u8; 16], key: &[u8; 32], now: Timestamp) -> Vec<u8> {
        let signed = signed_by::credential(&self.fleet, name.as_str(), uid, key);
        let signature = self.keys().signing(now).pair.sign(&signed);
        [&key[..], signature.as_ref()].concat()
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

    /// What an identity was given, anew, and with this trust: where another key signs now or others
    /// are trusted, and when two thirds of `life` are over.
    ///
    /// # Errors
    /// If no certificate can be made.
    pub fn renewal(
        &self,
        identity: &Identity,
        trust: Trust,
        life: Duration,
        now: Timestamp,
    ) -> Result<Option<Issued>, AuthorityError> {
        let Identity { name, uid, key, issued } = identity;
        let key = key.public();
        let expires = issued.expires().unwrap_or(Timestamp::UNIX_EPOCH);
        let is_due = expires.as_second() < (now + life / 3).as_second()
            || issued.trust != trust
            || issued.credential != self.credential(name, uid, &key, now);
        let anew = || Ok(Issued { trust, ..self.issue(name, uid, &key, life, now)? });
        is_due.then(anew).transpose()
    }

    /// The record of a floor: what removes a member, or admits it again.
    pub fn floor(&self, name: &Name, floor: &Floor, now: Timestamp) -> Vec<u8> {
        let key = self.keys().signing(now).pair.clone();
        floor.seal(name.as_str(), |signed| signature(&key, &signed_by::hub(&self.fleet, signed)))
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_hours(24);

    fn at(hours: u32) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + i64::from(hours) * 3600).unwrap()
    }

    #[test]
    fn what_was_given_is_given_anew_when_time_or_the_fleets_key_asks_for_it() {
        let authority = Authority::create("f", at(0)).unwrap();
        let name = Name::new("m1").unwrap();
        let mut member = authority.identity(&name, &[1; 16], LIFE, at(0)).unwrap();
        let mut changes = Vec::new();
        for hour in 0..500 {
            if hour == 20 {
                authority.rotate(LIFE, at(hour)).unwrap();
            }
            let trust = authority.trust(at(hour));
            if let Some(issued) = authority.renewal(&member, trust, LIFE, at(hour)).unwrap() {
                let same = issued.credential == member.issued.credential;
                changes.push((hour, same, issued.trust.keys.len()));
                member.issued = issued;
            }
        }
        // Every 17 hours, at 20 since both are trusted, at 212 since the next one signs, at 404 since
        // the last one is trusted no more.
        let mut want = Vec::new();
        for (from, until, keys) in [(0, 20, 1), (20, 212, 2), (212, 404, 2), (404, 500, 1)] {
            want.extend((from..until).step_by(17).map(|hour| (hour, hour != 212, keys)));
        }
        assert_eq!(changes, want[1..]);
        assert_eq!(authority.own_trust(at(500)).keys.len(), 2);
    }

    #[test]
    fn a_rotation_that_cannot_be_kept_has_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let gossip = dir.path().join("gossip");
        let authority = Authority::load_or_create(&gossip, "f", at(0)).unwrap();
        let before = authority.report(at(0));
        let aside = dir.path().join("aside");
        fs::rename(&gossip, &aside).unwrap();
        assert!(authority.rotate(LIFE, at(0)).is_err());
        assert_eq!(authority.report(at(0)), before);
        fs::rename(&aside, &gossip).unwrap();
        authority.rotate(LIFE, at(0)).unwrap();
        let again = Authority::load_or_create(&gossip, "f", at(1)).unwrap();
        assert_eq!(again.report(at(1)), authority.report(at(1)));
        assert!(matches!(again.rotate(LIFE, at(1)), Err(AuthorityError::Rotating(_))));
    }
}
