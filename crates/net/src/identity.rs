//! What a member holds: its key, and what the hub signed for it.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use kogge_gossip::{Claim, Keys, Name, Signature};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey},
};

use crate::authority::{Issued, Trust, public, signature};

/// Credentials that were found good are not checked again, up to so many.
const REMEMBERED: usize = 8_192;

/// A member's Ed25519 key. It never leaves the member.
#[derive(Clone)]
pub struct MemberKey {
    pkcs8: Arc<[u8]>,
    key: Arc<Ed25519KeyPair>,
}

impl MemberKey {
    /// # Errors
    /// In words, if the machine has no random numbers.
    pub fn generate() -> Result<Self, String> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| "there are no random numbers".to_owned())?;
        Self::open(pkcs8.as_ref())
    }

    /// # Errors
    /// In words, if these bytes are no Ed25519 key in PKCS#8.
    pub fn open(pkcs8: &[u8]) -> Result<Self, String> {
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|it| it.to_string())?;
        Ok(Self { pkcs8: pkcs8.into(), key: Arc::new(key) })
    }

    /// As it is kept on disk, for its owner only.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub fn public(&self) -> [u8; 32] {
        public(&self.key)
    }
}

impl fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberKey(..)")
    }
}

/// Who a member is, and whom it trusts.
#[derive(Clone, Debug)]
pub struct Identity {
    pub name: Name,
    /// Of the cluster's namespace kube-system, or of the hub's store.
    pub uid: [u8; 16],
    pub key: MemberKey,
    pub issued: Issued,
}

/// Signs and checks records for one member.
pub(crate) struct RecordKeys {
    key: MemberKey,
    fleet: String,
    /// Several keys, while one follows another.
    trusted: RwLock<Vec<[u8; 32]>>,
    /// Credentials that the hub signed, as asked: name, uid and credential.
    good: Mutex<BTreeSet<Vec<u8>>>,
}

impl RecordKeys {
    pub fn new(identity: &Identity) -> Self {
        let Trust { fleet, keys, .. } = identity.issued.trust.clone();
        let (trusted, good) = (RwLock::new(keys), Mutex::default());
        Self { key: identity.key.clone(), fleet, trusted, good }
    }

    /// Trusts these from now on, and others no more.
    pub fn trust(&self, keys: &[[u8; 32]]) {
        let mut trusted = self.trusted.write().unwrap_or_else(PoisonError::into_inner);
        if *trusted != keys {
            *trusted = keys.to_vec();
            self.good.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn is_by_hub(&self, signed: &[u8], signature: &[u8]) -> bool {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.iter().any(|it| is_by(it, signed, signature))
    }

    /// The key that the hub bound to name and uid.
    fn key_of(&self, claim: &Claim<'_>) -> Option<[u8; 32]> {
        let (key, signature) = claim.credential.split_at_checked(32)?;
        let key: [u8; 32] = key.try_into().ok()?;
        let asked = [&claim.uid[..], claim.credential, claim.name.as_bytes()].concat();
        let good = || self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good().contains(&asked) {
            return Some(key);
        }
        let signed = signed_by::credential(&self.fleet, claim.name, claim.uid, &key);
        if !self.is_by_hub(&signed, signature) {
            return None;
        }
        let mut good = good();
        if REMEMBERED <= good.len() {
            good.clear();
        }
        good.insert(asked);
        Some(key)
    }
}

impl Keys for RecordKeys {
    fn sign(&self, signed: &[u8]) -> Signature {
        signature(&self.key.key, &signed_by::member(&self.fleet, signed))
    }

    fn member_signed(&self, claim: &Claim<'_>) -> bool {
        let signed = || signed_by::member(&self.fleet, claim.signed);
        self.key_of(claim).is_some_and(|key| is_by(&key, &signed(), claim.signature))
    }

    fn hub_signed(&self, signed: &[u8], signature: &Signature) -> bool {
        self.is_by_hub(&signed_by::hub(&self.fleet, signed), signature)
    }
}

pub(crate) fn is_by(key: &[u8; 32], signed: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(signed, signature).is_ok()
}

/// What exactly is signed: each purpose has a mark of its own, so that nothing signed for one is
/// good for another, and lengths, so that no two claims read the same.
pub(crate) mod signed_by {
    fn marked(mark: &str, fleet: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [mark.as_bytes(), fleet.as_bytes()].iter().chain(parts) {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(*part);
        }
        bytes
    }

    /// That a key is a member's.
    pub fn credential(fleet: &str, name: &str, uid: &[u8; 16], key: &[u8; 32]) -> Vec<u8> {
        marked("kogge credential", fleet, &[name.as_bytes(), uid, key])
    }

    /// A record of a member.
    pub fn member(fleet: &str, record: &[u8]) -> Vec<u8> {
        marked("kogge member", fleet, &[record])
    }

    /// A record of the hub's.
    pub fn hub(fleet: &str, record: &[u8]) -> Vec<u8> {
        marked("kogge hub", fleet, &[record])
    }
}
