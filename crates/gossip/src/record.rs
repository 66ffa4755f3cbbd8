//! Records: what is kept of a member, signed.
//!
//! Bytes: slot, name, incarnation, version, body, signature; all but the signature is signed.

use std::sync::Arc;

use crate::codec::{Malformed, Read, Reader, put_bytes, put_number};
use crate::id::{hash, low, mix};
use crate::keys::{SIGNATURE, Signature};

/// The longest record, signature included: with a frame around it, it fits a datagram.
pub const MAX_RECORD: usize = 1_024;

/// Which of a member's records. The order is the order in which they are sent: what others need
/// to be checked goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Slot {
    /// [`crate::Floor`], signed by the hub.
    Floor = 0,
    /// [`crate::Head`].
    Head = 1,
    /// [`crate::links::Links`]: whom the owner reaches and whom not.
    Links = 2,
    /// Exported services; opaque here.
    Services = 3,
    /// What is relayed of the hub's intent; opaque here.
    Intent = 4,
}

impl Slot {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Floor, Self::Head, Self::Links, Self::Services, Self::Intent];

    /// The slot with that number.
    pub fn of(number: u8) -> Read<Self> {
        Self::ALL.get(usize::from(number)).copied().ok_or(Malformed::Unknown)
    }

    /// Its place in [`Slot::ALL`].
    pub fn at(self) -> usize {
        self as usize
    }
}

/// How new a record is: the owner's life, and a count within it. Of a floor, the version is the
/// hub's serial number and the incarnation 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Which start of the owner.
    pub incarnation: u64,
    /// Which record of that slot since.
    pub version: u64,
}

/// A record as it arrives: checked for form, not for its signature.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The owner.
    pub name: &'a str,
    /// Which of its records.
    pub slot: Slot,
    /// How new.
    pub stamp: Stamp,
    /// What it says.
    pub body: &'a [u8],
    /// All of it.
    pub bytes: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// Reads one record, which is all of `bytes`.
    pub fn read(bytes: &'a [u8]) -> Read<Self> {
        if MAX_RECORD < bytes.len() {
            return Err(Malformed::Limit);
        }
        let mut reader = Reader::new(bytes);
        let slot = Slot::of(reader.byte()?)?;
        let name = reader.name()?;
        let stamp = Stamp { incarnation: reader.number()?, version: reader.number()? };
        let body = reader.bytes(MAX_RECORD)?;
        reader.array::<SIGNATURE>()?;
        reader.end()?;
        Ok(Self { name, slot, stamp, body, bytes })
    }

    /// What is signed.
    pub fn signed(&self) -> &'a [u8] {
        &self.bytes[..self.bytes.len() - SIGNATURE]
    }

    /// The signature.
    pub fn signature(&self) -> &'a Signature {
        self.bytes.last_chunk().expect("read() has seen a signature")
    }

    /// What stands for this record in sums of hashes: of signature, owner, slot and stamp.
    pub fn digest(&self) -> u128 {
        let place = hash(self.slot as u64, self.name.as_bytes());
        let mut halves = [mix(place, self.stamp.incarnation), mix(place, self.stamp.version)];
        for (at, chunk) in self.signature().chunks_exact(8).enumerate() {
            let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
            halves[at % 2] = mix(halves[at % 2], word);
        }
        u128::from(mix(halves[0], halves[1])) << 64 | u128::from(mix(halves[1], place))
    }
}

/// A record that is kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    bytes: Box<[u8]>,
    body: (u16, u16),
    /// Which of its owner's records.
    pub slot: Slot,
    /// How new.
    pub stamp: Stamp,
    /// See [`RecordRef::digest`].
    pub digest: u128,
}

impl Record {
    /// Keeps what was read.
    pub fn keep(it: &RecordRef<'_>) -> Arc<Self> {
        let short = |at: usize| u16::try_from(at).expect("at most MAX_RECORD");
        let end = it.bytes.len() - SIGNATURE;
        let body = (short(end - it.body.len()), short(end));
        let (slot, stamp, digest) = (it.slot, it.stamp, it.digest());
        Arc::new(Self { bytes: it.bytes.into(), body, slot, stamp, digest })
    }

    /// Makes the bytes of a record; `sign` is given what is to be signed.
    pub fn seal(
        name: &str,
        slot: Slot,
        stamp: Stamp,
        body: &[u8],
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(name.len() + body.len() + SIGNATURE + 24);
        bytes.push(slot as u8);
        put_bytes(&mut bytes, name.as_bytes());
        put_number(&mut bytes, stamp.incarnation);
        put_number(&mut bytes, stamp.version);
        put_bytes(&mut bytes, body);
        let signature = sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// All of it, as it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn body(&self) -> &[u8] {
        &self.bytes[usize::from(self.body.0)..usize::from(self.body.1)]
    }

    /// Half of the digest: names the record in acknowledgements.
    pub fn short(&self) -> u64 {
        low(self.digest)
    }
}

/// The hub's word on a member: below which incarnation nothing of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Counts up with each of the hub's floors; the newest counts.
    pub serial: u64,
    /// Incarnations up to this one are void; [`Floor::REMOVED`] voids all.
    pub incarnation: u64,
    /// Links to it are to be cut.
    pub revoked: bool,
}

impl Floor {
    /// No incarnation is above it.
    pub const REMOVED: u64 = u64::MAX;

    /// The record of this floor for `name`; `sign` has to be the hub's.
    pub fn seal(&self, name: &str, sign: impl FnOnce(&[u8]) -> Signature) -> Vec<u8> {
        let mut body = Vec::new();
        put_number(&mut body, self.incarnation);
        body.push(u8::from(self.revoked));
        let stamp = Stamp { incarnation: 0, version: self.serial };
        Record::seal(name, Slot::Floor, stamp, &body, sign)
    }

    /// What a floor's record says.
    pub fn read(stamp: Stamp, body: &[u8]) -> Read<Self> {
        let mut reader = Reader::new(body);
        let incarnation = reader.number()?;
        let revoked = reader.up_to(1)? == 1;
        reader.end()?;
        if stamp.incarnation != 0 {
            return Err(Malformed::Limit);
        }
        Ok(Self { serial: stamp.version, incarnation, revoked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(version: u64) -> Vec<u8> {
        let stamp = Stamp { incarnation: 3, version };
        Record::seal("eu-1", Slot::Links, stamp, b"body", |it| {
            [u8::try_from(it.len()).unwrap(); 64]
        })
    }

    #[test]
    fn a_record_comes_back_as_it_was_sealed() {
        let bytes = sealed(300);
        let read = RecordRef::read(&bytes).unwrap();
        assert_eq!((read.name, read.slot, read.body), ("eu-1", Slot::Links, &b"body"[..]));
        assert_eq!(read.stamp, Stamp { incarnation: 3, version: 300 });
        let kept = Record::keep(&read);
        assert_eq!((kept.bytes(), kept.body()), (&bytes[..], &b"body"[..]));
    }

    #[test]
    fn digests_tell_versions_and_signatures_apart() {
        let (one, other) = (sealed(1), sealed(2));
        let mut forged = one.clone();
        *forged.last_mut().unwrap() ^= 1;
        let digest = |bytes: &[u8]| RecordRef::read(bytes).unwrap().digest();
        assert_ne!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&forged));
    }

    #[test]
    fn every_cut_of_a_record_is_refused() {
        let bytes = sealed(1);
        for end in 0..bytes.len() {
            assert!(RecordRef::read(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(RecordRef::read(&[bytes, vec![0]].concat()).err(), Some(Malformed::Long));
    }

    #[test]
    fn a_floor_comes_back() {
        let floor = Floor { serial: 9, incarnation: Floor::REMOVED, revoked: true };
        let bytes = floor.seal("eu-1", |_| [0; 64]);
        let read = RecordRef::read(&bytes).unwrap();
        assert_eq!(Floor::read(read.stamp, read.body), Ok(floor));
    }
}
