//! Keys for simulations: a keyed hash that every member could forge, and the honest ones do not.

use std::sync::Arc;

use crate::id::{Name, hash, mix};
use crate::keys::{Claim, Keys, SIGNATURE, Signature};

/// The keys of one simulated member.
#[derive(Clone, Debug)]
pub struct SimKeys {
    own: u64,
    fleet: u64,
}

impl SimKeys {
    /// The keys of `name` in `fleet`.
    pub fn new(fleet: &str, name: &Name) -> Arc<Self> {
        let fleet = hash(1, fleet.as_bytes());
        Arc::new(Self { own: key_of(fleet, name.as_str()), fleet })
    }

    /// What the hub gives to a member: binds its uid to its name.
    pub fn credential(fleet: &str, name: &Name, uid: &[u8; 16]) -> Vec<u8> {
        let seal = bind(hash(1, fleet.as_bytes()), name.as_str(), uid);
        // As long as a real one: a key, a date, a signature.
        seal.to_le_bytes().into_iter().cycle().take(104).collect()
    }

    /// Signs as the hub of `fleet`.
    pub fn hub_sign(fleet: &str, signed: &[u8]) -> Signature {
        stretch(hash(hub_key(hash(1, fleet.as_bytes())), signed))
    }
}

fn key_of(fleet: u64, name: &str) -> u64 {
    hash(mix(fleet, 2), name.as_bytes())
}

fn hub_key(fleet: u64) -> u64 {
    mix(fleet, 3)
}

fn bind(fleet: u64, name: &str, uid: &[u8; 16]) -> u64 {
    mix(hash(hub_key(fleet), name.as_bytes()), hash(fleet, uid))
}

fn stretch(hashed: u64) -> Signature {
    let mut signature = [0; SIGNATURE];
    for (at, chunk) in signature.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&mix(hashed, at as u64).to_le_bytes());
    }
    signature
}

impl Keys for SimKeys {
    fn sign(&self, signed: &[u8]) -> Signature {
        stretch(hash(self.own, signed))
    }

    fn member_signed(&self, claim: &Claim<'_>) -> bool {
        let bound = bind(self.fleet, claim.name, claim.uid).to_le_bytes();
        claim.credential.starts_with(&bound)
            && stretch(hash(key_of(self.fleet, claim.name), claim.signed)) == *claim.signature
    }

    fn hub_signed(&self, signed: &[u8], signature: &Signature) -> bool {
        stretch(hash(hub_key(self.fleet), signed)) == *signature
    }
}
