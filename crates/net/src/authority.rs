//! The fleet's key: it signs certificates for links, credentials for records, and floors.
//!
//! One Ed25519 key of the hub is all three, so that one file is the fleet's identity. How one key
//! follows another: see `keys`.

mod keys;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
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
pub use self::keys::{KeyReport, check_keys, keys_file};
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
    #[error("could not read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("could not make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("the fleet's key cannot be used: {0}")]
    Key(String),
    #[error("the fleet's key is being changed already, until {0}")]
    Changing(Timestamp),
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

/// The fleet's keys, which only a hub has.
pub struct Authority {
    fleet: String,
    /// Where they are kept; none of those that are made for a moment.
    file: Option<PathBuf>,
    keys: RwLock<FleetKeys>,
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
            .map_err(|source| AuthorityError::File { path: dir.to_owned(), source })?;
        keys.write(&path)?;
        Ok(Self::of(fleet, keys, Some(path)))
    }

    fn of(fleet: &str, keys: FleetKeys, file: Option<PathBuf>) -> Self {
        Self { fleet: fleet.to_owned(), file, keys: RwLock::new(keys) }
    }

    fn keys(&self) -> RwLockReadGuard<'_, FleetKeys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom members trust.
    ///
    /// # Errors
    /// If a key cannot be used.
    pub fn trust(&self, now: Timestamp) -> Result<Trust, AuthorityError> {
        let keys = self.keys();
        Ok(Trust {
            fleet: self.fleet.clone(),
            authorities: keys.trusted(now).map(|it| it.certificate.to_vec()).collect(),
            keys: keys.trusted(now).map(FleetKey::public).collect::<Result<_, _>>()?,
        })
    }

    /// Begins to change the key: the next is trusted from now on, and signs when all that was
    /// issued until now, each for at most `life`, has been issued anew. Durable when this returns.
    ///
    /// # Errors
    /// If it is being changed already, or the keys cannot be written: then nothing has changed.
    pub fn change(&self, life: Duration, now: Timestamp) -> Result<(), AuthorityError> {
        self.alter(|keys| keys.change(&self.fleet, life, now).map(|()| true))
    }

    /// Forgets keys that nobody trusts any more.
    ///
    /// # Errors
    /// If the keys cannot be written.
    pub fn forget(&self, now: Timestamp) -> Result<(), AuthorityError> {
        self.alter(|keys| Ok(keys.forget(now)))
    }

    /// On disk first. `alter` says whether there is anything to write.
    fn alter(
        &self,
        alter: impl FnOnce(&mut FleetKeys) -> Result<bool, AuthorityError>,
    ) -> Result<(), AuthorityError> {
        let mut kept = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut keys = kept.clone();
        if alter(&mut keys)? {
            if let Some(file) = &self.file {
                keys.write(file)?;
            }
            *kept = keys;
        }
        Ok(())
    }

    /// The keys that are trusted, the oldest first.
    ///
    /// # Errors
    /// If a key cannot be used.
    pub fn report(&self, now: Timestamp) -> Result<Vec<KeyReport>, AuthorityError> {
        self.keys().report(now)
    }

    /// Whether what a member's head says of its key was signed by a key that is trusted.
    #[must_use]
    pub fn has_admitted(&self, name: &Name, head: &Head, now: Timestamp) -> bool {
        let Some((key, signature)) = head.credential.split_first_chunk::<32>() else {
            return false;
        };
        let signed = signed_by::credential(&self.fleet, name.as_str(), &head.uid, key);
        let by = |it: &FleetKey| it.public().is_ok_and(|key| is_by(&key, &signed, signature));
        self.keys().trusted(now).any(by)
    }

    /// Whether a floor's record is by the key that signs now.
    #[must_use]
    pub fn has_signed(&self, floor: &[u8], now: Timestamp) -> bool {
        let signed = |record: &RecordRef<'_>| {
            let key = self.keys().signing(now).public().ok()?;
            let signed = signed_by::hub(&self.fleet, record.signed());
            Some(is_by(&key, &signed, record.signature()))
        };
        RecordRef::read(floor).ok().and_then(|it| signed(&it)).unwrap_or(false)
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
        let credential = self.credential(name, uid, key, now)?;
        Ok(Issued { certificate, credential, trust: self.trust(now)? })
    }

    fn credential(
        &self,
        name: &Name,
        uid: &[u8; 16],
        key: &[u8; 32],
        now: Timestamp,
    ) -> Result<Vec<u8>, AuthorityError> {
        let signed = signed_by::credential(&self.fleet, name.as_str(), uid, key);
        let signature = self.keys().signing(now).pair()?.sign(&signed);
        Ok([&key[..], signature.as_ref()].concat())
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

    /// What an identity was given, anew: where another key signs now or others are trusted, and when
    /// two thirds of `life` are over.
    ///
    /// # Errors
    /// If no certificate can be made.
    pub fn renewal(
        &self,
        identity: &Identity,
        life: Duration,
        now: Timestamp,
    ) -> Result<Option<Issued>, AuthorityError> {
        let Identity { name, uid, key, issued } = identity;
        let key = key.public();
        let expires = expires(&issued.certificate.as_slice().into()).unwrap_or_default();
        let is_due = expires.as_secs().cast_signed() < (now + life / 3).as_second()
            || issued.trust != self.trust(now)?
            || issued.credential != self.credential(name, uid, &key, now)?;
        is_due.then(|| self.issue(name, uid, &key, life, now)).transpose()
    }

    /// The record of a floor: what removes a member, or admits it again.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn floor(
        &self,
        name: &Name,
        floor: &Floor,
        now: Timestamp,
    ) -> Result<Vec<u8>, AuthorityError> {
        let key = self.keys().signing(now).pair()?;
        Ok(floor
            .seal(name.as_str(), |signed| signature(&key, &signed_by::hub(&self.fleet, signed))))
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
        for hour in 0..300 {
            if hour == 20 {
                authority.change(LIFE, at(hour)).unwrap();
            }
            if let Some(issued) = authority.renewal(&member, LIFE, at(hour)).unwrap() {
                let same = issued.credential == member.issued.credential;
                changes.push((hour, same, issued.trust.keys.len()));
                member.issued = issued;
            }
        }
        let by_time = |from: u32, to: u32| {
            let times = (1..).map(move |it| from + it * 17).take_while(move |it| *it < to);
            times.map(|it| (it, true))
        };
        // At 20 both are trusted, at 44 the next signs, at 236 the last is trusted no more.
        let want = by_time(0, 20).map(|it| (it.0, it.1, 1)).chain([(20, true, 2)]);
        let want = want.chain(by_time(20, 44).map(|it| (it.0, it.1, 2))).chain([(44, false, 2)]);
        let want = want.chain(by_time(44, 236).map(|it| (it.0, it.1, 2))).chain([(236, true, 1)]);
        let want = want.chain(by_time(236, 300).map(|it| (it.0, it.1, 1)));
        assert_eq!(changes, want.collect::<Vec<_>>());
    }

    #[test]
    fn a_change_that_cannot_be_kept_has_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let gossip = dir.path().join("gossip");
        let authority = Authority::load_or_create(&gossip, "f", at(0)).unwrap();
        let before = authority.report(at(0)).unwrap();
        fs::remove_dir_all(&gossip).unwrap();
        assert!(matches!(authority.change(LIFE, at(0)), Err(AuthorityError::File { .. })));
        assert_eq!(authority.report(at(0)).unwrap(), before);
        fs::create_dir(&gossip).unwrap();
        authority.change(LIFE, at(0)).unwrap();
        let again = Authority::load_or_create(&gossip, "f", at(1)).unwrap();
        assert_eq!(again.report(at(1)).unwrap(), authority.report(at(1)).unwrap());
        assert!(matches!(again.change(LIFE, at(1)), Err(AuthorityError::Changing(_))));
        again.forget(at(300)).unwrap();
        let left = Authority::load_or_create(&gossip, "f", at(300)).unwrap().report(at(300));
        assert_eq!(left.unwrap()[0].id, authority.report(at(1)).unwrap()[1].id);
    }
}
