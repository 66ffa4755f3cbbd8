//! Frames: what members send each other. One byte of kind, the sender's name, the rest.
//!
//! A frame is read without allocating but for lists, whose counts are bounded by what the bytes
//! can hold. The sender's name is compared with the authenticated one by [`crate::Node`].

use crate::codec::{Malformed, Read, Reader, put_bytes, put_number};
use crate::record::{MAX_RECORD, Slot, Stamp};
use crate::ring::Part;

/// The longest frame; longer ones are not even read.
pub const MAX_FRAME: usize = 64 << 10;

/// What fits a datagram everywhere; longer frames go over the stream.
pub const MAX_DATAGRAM: usize = 1_150;

/// A list of records or ids is cut into frames of about this size.
pub(crate) const CHUNK: usize = 32 << 10;

/// Hashes of the table's parts.
pub const BUCKETS: usize = 64;

/// Which record, and how new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// The hash of the owner's name.
    pub owner: u64,
    /// Which of its records.
    pub slot: Slot,
    /// How new.
    pub stamp: Stamp,
    /// A quarter of its digest.
    pub check: u32,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Are you there? `suspected`: I am about to say that you are not. `root` is the short one.
    Ping { seq: u64, root: u64, suspected: bool },
    /// I am; come again in that many milliseconds.
    Ack { seq: u64, root: u64, next_ms: u64 },
    /// Do you reach the one with that hash?
    Check { seq: u64, subject: u64 },
    /// I do, or I do not.
    Checked { seq: u64, subject: u64, reached: bool },
    /// A record that is new; serve that part with it.
    Push { part: Part, record: &'a [u8] },
    /// It has arrived: half of its digest.
    PushAck { record: u64 },
    /// I am new; this is my head. Tell me all.
    Join { record: &'a [u8] },
    /// Records that were asked for.
    Records(Batch<'a>),
    /// The hashes of my buckets.
    Sync { root: u128, buckets: Box<[u64; BUCKETS]> },
    /// What I have in those buckets (a bit each).
    Ids { buckets: u64, ids: Vec<Id> },
    /// Send me these.
    Want { ids: Vec<Id> },
}

/// Records, and what is to be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// There are more of this answer.
    pub more: bool,
    /// That is not all: ask one of their owners for the rest.
    pub ask: bool,
    /// A fleet is starting: serve that part with all of the table, once that many records of it
    /// are here.
    pub serve: Option<(Part, u64)>,
    /// The records.
    pub records: Vec<&'a [u8]>,
}

const PING: u8 = 1;
const ACK: u8 = 2;
const CHECK: u8 = 3;
const CHECKED: u8 = 4;
const PUSH: u8 = 5;
const PUSH_ACK: u8 = 6;
const JOIN: u8 = 7;
const RECORDS: u8 = 8;
const SYNC: u8 = 9;
const IDS: u8 = 10;
const WANT: u8 = 11;

impl<'a> Frame<'a> {
    /// Reads a frame and the name in it.
    pub fn read(bytes: &'a [u8]) -> Read<(&'a str, Self)> {
        if MAX_FRAME < bytes.len() {
            return Err(Malformed::Limit);
        }
        let mut reader = Reader::new(bytes);
        let kind = reader.byte()?;
        let from = reader.name()?;
        let frame = Self::read_body(kind, &mut reader)?;
        reader.end()?;
        Ok((from, frame))
    }

    fn read_body(kind: u8, reader: &mut Reader<'a>) -> Read<Self> {
        Ok(match kind {
            PING => {
                Self::Ping { seq: reader.number()?, root: word(reader)?, suspected: flag(reader)? }
            }
            ACK => Self::Ack {
                seq: reader.number()?,
                root: word(reader)?,
                next_ms: reader.up_to(1 << 20)?,
            },
            CHECK => Self::Check { seq: reader.number()?, subject: word(reader)? },
            CHECKED => Self::Checked {
                seq: reader.number()?,
                subject: word(reader)?,
                reached: flag(reader)?,
            },
            PUSH => Self::Push { part: Part::read(reader)?, record: reader.bytes(MAX_RECORD)? },
            PUSH_ACK => Self::PushAck { record: word(reader)? },
            JOIN => Self::Join { record: reader.bytes(MAX_RECORD)? },
            RECORDS => {
                let (more, ask) = (flag(reader)?, flag(reader)?);
                let serve = if flag(reader)? {
                    Some((Part::read(reader)?, reader.number()?))
                } else {
                    None
                };
                let count = reader.count(reader.rest().len())?;
                let mut records = Vec::with_capacity(count.min(CHUNK / 64));
                for _ in 0..count {
                    records.push(reader.bytes(MAX_RECORD)?);
                }
                Self::Records(Batch { more, ask, serve, records })
            }
            SYNC => {
                let root = root(reader)?;
                let mut buckets = Box::new([0; BUCKETS]);
                for bucket in &mut *buckets {
                    *bucket = word(reader)?;
                }
                Self::Sync { root, buckets }
            }
            IDS => Self::Ids { buckets: word(reader)?, ids: ids(reader)? },
            WANT => Self::Want { ids: ids(reader)? },
            _ => return Err(Malformed::Unknown),
        })
    }

    /// The bytes of this frame from `from`.
    pub fn bytes(&self, from: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(from.len() + self.size());
        out.push(self.kind());
        put_bytes(&mut out, from.as_bytes());
        match self {
            Self::Ping { seq, root, suspected } => {
                put_number(&mut out, *seq);
                out.extend_from_slice(&root.to_le_bytes());
                out.push(u8::from(*suspected));
            }
            Self::Ack { seq, root, next_ms } => {
                put_number(&mut out, *seq);
                out.extend_from_slice(&root.to_le_bytes());
                put_number(&mut out, *next_ms);
            }
            Self::Check { seq, subject } => {
                put_number(&mut out, *seq);
                out.extend_from_slice(&subject.to_le_bytes());
            }
            Self::Checked { seq, subject, reached } => {
                put_number(&mut out, *seq);
                out.extend_from_slice(&subject.to_le_bytes());
                out.push(u8::from(*reached));
            }
            Self::Push { part, record } => {
                part.put(&mut out);
                put_bytes(&mut out, record);
            }
            Self::PushAck { record } => out.extend_from_slice(&record.to_le_bytes()),
            Self::Join { record } => put_bytes(&mut out, record),
            Self::Records(Batch { more, ask, serve, records }) => {
                out.extend([u8::from(*more), u8::from(*ask), u8::from(serve.is_some())]);
                if let Some((part, count)) = serve {
                    part.put(&mut out);
                    put_number(&mut out, *count);
                }
                put_number(&mut out, records.len() as u64);
                for record in records {
                    put_bytes(&mut out, record);
                }
            }
            Self::Sync { root, buckets } => {
                out.extend_from_slice(&root.to_le_bytes());
                for bucket in &**buckets {
                    out.extend_from_slice(&bucket.to_le_bytes());
                }
            }
            Self::Ids { buckets, ids } => {
                out.extend_from_slice(&buckets.to_le_bytes());
                put_ids(&mut out, ids);
            }
            Self::Want { ids } => put_ids(&mut out, ids),
        }
        out
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Ping { .. } => PING,
            Self::Ack { .. } => ACK,
            Self::Check { .. } => CHECK,
            Self::Checked { .. } => CHECKED,
            Self::Push { .. } => PUSH,
            Self::PushAck { .. } => PUSH_ACK,
            Self::Join { .. } => JOIN,
            Self::Records(_) => RECORDS,
            Self::Sync { .. } => SYNC,
            Self::Ids { .. } => IDS,
            Self::Want { .. } => WANT,
        }
    }

    /// About how many bytes it takes, without the name.
    fn size(&self) -> usize {
        match self {
            Self::Push { record, .. } | Self::Join { record } => record.len() + 16,
            Self::Records(it) => 16 + it.records.iter().map(|it| it.len() + 3).sum::<usize>(),
            Self::Sync { .. } => BUCKETS * 8 + 20,
            Self::Ids { ids, .. } | Self::Want { ids } => ids.len() * 20 + 16,
            _ => 32,
        }
    }
}

fn root(reader: &mut Reader<'_>) -> Read<u128> {
    reader.array().map(u128::from_le_bytes)
}

fn word(reader: &mut Reader<'_>) -> Read<u64> {
    reader.array().map(u64::from_le_bytes)
}

fn flag(reader: &mut Reader<'_>) -> Read<bool> {
    reader.up_to(1).map(|it| it == 1)
}

fn put_ids(out: &mut Vec<u8>, ids: &[Id]) {
    put_number(out, ids.len() as u64);
    for id in ids {
        out.extend_from_slice(&id.owner.to_le_bytes());
        out.push(id.slot as u8);
        put_number(out, id.stamp.incarnation);
        put_number(out, id.stamp.version);
        out.extend_from_slice(&id.check.to_le_bytes());
    }
}

fn ids(reader: &mut Reader<'_>) -> Read<Vec<Id>> {
    // An id takes at least 15 bytes.
    let count = reader.count(reader.rest().len() / 15)?;
    (0..count)
        .map(|_| {
            let (owner, slot) = (word(reader)?, Slot::of(reader.byte()?)?);
            let stamp = Stamp { incarnation: reader.number()?, version: reader.number()? };
            Ok(Id { owner, slot, stamp, check: reader.array().map(u32::from_le_bytes)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(record: &[u8]) -> Vec<Frame<'_>> {
        let id = Id { owner: 7, slot: Slot::Links, stamp: Stamp::default(), check: 9 };
        vec![
            Frame::Ping { seq: 1, root: 2, suspected: true },
            Frame::Ack { seq: 300, root: u64::MAX, next_ms: 5_000 },
            Frame::Check { seq: 5, subject: 6 },
            Frame::Checked { seq: 5, subject: 6, reached: false },
            Frame::Push { part: Part::WHOLE.child(5).child(1), record },
            Frame::Push { part: Part::only(77), record },
            Frame::PushAck { record: 8 },
            Frame::Join { record },
            Frame::Records(Batch { more: true, ask: false, serve: None, records: vec![record; 2] }),
            Frame::Records(Batch {
                more: false,
                ask: true,
                serve: Some((Part::WHOLE, 9)),
                records: vec![],
            }),
            Frame::Sync { root: 1, buckets: Box::new([3; BUCKETS]) },
            Frame::Ids { buckets: 5, ids: vec![id, id] },
            Frame::Want { ids: vec![id] },
        ]
    }

    #[test]
    fn frames_come_back() {
        for frame in all(b"record") {
            let bytes = frame.bytes("eu-1");
            assert_eq!(Frame::read(&bytes), Ok(("eu-1", frame)));
        }
    }

    #[test]
    fn every_cut_of_a_frame_is_refused() {
        for bytes in all(b"record").iter().map(|it| it.bytes("eu-1")) {
            assert!((0..bytes.len()).all(|end| Frame::read(&bytes[..end]).is_err()));
        }
    }

    #[test]
    fn probes_are_small() {
        let ping = Frame::Ping { seq: 20_000, root: u64::MAX, suspected: false };
        let ack = Frame::Ack { seq: 20_000, root: u64::MAX, next_ms: 5_000 };
        let name = "prod-europe-west";
        assert!(ping.bytes(name).len() + ack.bytes(name).len() + 2 * 28 < 125);
    }

    #[test]
    fn counts_are_not_believed() {
        let mut bomb = vec![RECORDS, 1, b'a', 0, 0, 0];
        put_number(&mut bomb, u64::MAX);
        assert_eq!(Frame::read(&bomb), Err(Malformed::Limit));
        assert_eq!(Frame::read(&vec![0; MAX_FRAME + 1]), Err(Malformed::Limit));
    }

    proptest! {
        /// Whatever arrives is read or refused, and what is read has one spelling.
        #[test]
        fn any_bytes_are_read_or_refused(kind in 0_u8..13, bytes: Vec<u8>) {
            let all = [vec![kind, 1, b'a'], bytes].concat();
            if let Ok((from, frame)) = Frame::read(&all) {
                prop_assert_eq!(frame.bytes(from), all);
            }
        }

        /// A frame with some bytes changed likewise.
        #[test]
        fn damaged_frames_are_read_or_refused(
            which in 0_usize..13, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..4)
        ) {
            let mut bytes = all(b"record")[which].bytes("eu-1");
            for (at, byte) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
            if let Ok((from, frame)) = Frame::read(&bytes) {
                prop_assert_eq!(frame.bytes(from), bytes);
            }
        }
    }
}
