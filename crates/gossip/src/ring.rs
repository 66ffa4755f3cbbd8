//! Who watches whom, and who serves which part: all read from one sorted ring of hashes.
//!
//! Invariants: who watches whom is the same question from both ends ([`Table::watches`]); the
//! eight children of a [`Part`] are disjoint and make it whole.

use crate::codec::{Malformed, Read, Reader, put_number};
use crate::id::mix;
use crate::table::{State, Table};

/// Living observers of each member.
pub const OBSERVERS: usize = 5;

/// Among this many predecessors a word counts although five living ones stand nearer: views of
/// who lives differ for a moment.
const NEAR: usize = 2 * OBSERVERS;

/// The most dead members that one member goes on probing.
const MAX_DEAD: usize = 24;

/// A part of the space of hashes: all that begin with `bits` bits of `prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    prefix: u64,
    bits: u8,
}

impl Part {
    /// All hashes.
    pub const WHOLE: Self = Self { prefix: 0, bits: 0 };

    /// Exactly one.
    pub fn only(hash: u64) -> Self {
        Self { prefix: hash, bits: 64 }
    }

    /// One of its eight parts; itself when it is a single hash.
    #[must_use]
    pub fn child(self, octant: u8) -> Self {
        let step = 3.min(64 - self.bits);
        if step == 0 {
            return self;
        }
        let bits = self.bits + step;
        let octant = u64::from(octant) & ((1 << step) - 1);
        Self { prefix: self.prefix | octant << (64 - bits), bits }
    }

    /// How many children are there.
    pub fn children(self) -> u8 {
        1 << 3.min(64 - self.bits)
    }

    /// Whether a hash is in it.
    pub fn holds(self, hash: u64) -> bool {
        self.bits == 0 || (hash ^ self.prefix) >> (64 - self.bits) == 0
    }

    /// Its least hash and its greatest.
    fn bounds(self) -> (u64, u64) {
        let free = u64::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
        (self.prefix, self.prefix | free)
    }

    /// Appends it: one hash costs eight bytes, a part of n levels 1 + about n / 2.
    pub fn put(self, out: &mut Vec<u8>) {
        out.push(self.bits);
        if self.bits == 64 {
            out.extend_from_slice(&self.prefix.to_le_bytes());
        } else if 0 < self.bits {
            put_number(out, self.prefix >> (64 - self.bits));
        }
    }

    /// Reads [`Part::put`].
    pub fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let bits = reader.byte()?;
        let prefix = match bits {
            0 => 0,
            1..=63 => reader.up_to((1 << bits) - 1)? << (64 - bits),
            64 => u64::from_le_bytes(reader.array()?),
            _ => return Err(Malformed::Limit),
        };
        Ok(Self { prefix, bits })
    }
}

impl Table {
    /// The ring from just before `hash` backwards, once around, without the member there.
    fn before(&self, hash: u64) -> impl Iterator<Item = usize> {
        let at = self.ring.partition_point(|it| it.0 < hash);
        let (low, high) = self.ring.split_at(at);
        let others = high.iter().filter(move |it| it.0 != hash).rev();
        low.iter().rev().chain(others).map(|it| it.1)
    }

    pub(crate) fn after(&self, hash: u64) -> impl Iterator<Item = usize> {
        let at = self.ring.partition_point(|it| it.0 <= hash);
        let (low, high) = self.ring.split_at(at);
        let others = low.iter().filter(move |it| it.0 != hash);
        high.iter().chain(others).map(|it| it.1)
    }

    /// Can this one probe that one at all? Of two that cannot be dialled neither can.
    fn can_probe(&self, observer: usize, subject: usize) -> bool {
        self.members[observer].dialable || self.members[subject].dialable
    }

    /// The living observers of a member, nearest first.
    pub fn observers(&self, subject: usize) -> impl Iterator<Item = usize> {
        self.before(self.members[subject].hash)
            .filter(move |it| self.members[*it].lives() && self.can_probe(*it, subject))
            .take(OBSERVERS)
    }

    /// Whether the word of `observer` on `subject` counts.
    pub fn watches(&self, observer: usize, subject: usize) -> bool {
        let mut nearer = 0;
        for (steps, at) in self.before(self.members[subject].hash).enumerate() {
            if OBSERVERS <= nearer && NEAR <= steps {
                return false;
            }
            if at == observer {
                return self.can_probe(observer, subject);
            }
            nearer += usize::from(self.members[at].lives() && self.can_probe(at, subject));
        }
        false
    }

    /// Whom a member probes: its living successors, and the dead between them.
    pub fn subjects(&self, observer: usize) -> Vec<usize> {
        let (mut subjects, mut dead) = (Vec::new(), 0);
        // Those between here and there that would probe it rather: all, and those that can be
        // dialled, which is what counts for who cannot be.
        let (mut living, mut dialable) = (0, 0);
        let me = &self.members[observer];
        for at in self.after(me.hash) {
            let it = &self.members[at];
            let nearer = if it.dialable { living } else { dialable };
            if nearer < OBSERVERS && self.can_probe(observer, at) {
                match it.state {
                    State::Alive | State::Suspect => subjects.push(at),
                    State::Dead if dead < MAX_DEAD => {
                        dead += 1;
                        subjects.push(at);
                    }
                    _ => {}
                }
            }
            if it.lives() {
                living += 1;
                dialable += usize::from(it.dialable);
            }
            if OBSERVERS <= if me.dialable { dialable } else { living } {
                break;
            }
        }
        subjects
    }

    /// Members in a part, in the order of the ring.
    pub fn within(&self, part: Part) -> impl Iterator<Item = usize> {
        let (least, greatest) = part.bounds();
        let start = self.ring.partition_point(|it| it.0 < least);
        let end = self.ring.partition_point(|it| it.0 <= greatest);
        self.ring[start..end].iter().map(|it| it.1)
    }

    /// Who serves a part in a tree: the first that lives and can be dialled, in the tree's order.
    pub fn delegate(&self, part: Part, tree: u64, not: [Option<usize>; 2]) -> Option<usize> {
        let fit = |at: &usize| {
            !not.contains(&Some(*at)) && self.members[*at].dialable && self.members[*at].lives()
        };
        // The suspected come last; the silent are no use.
        self.within(part)
            .filter(fit)
            .filter(|at| !self.members[*at].silent)
            .min_by_key(|at| (self.members[*at].state, mix(self.members[*at].hash, tree)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_disjoint_and_whole() {
        let part = Part::WHOLE.child(3).child(6);
        for hash in (0..20_000).map(|it| mix(it, 1)) {
            let holding = (0..part.children()).filter(|it| part.child(*it).holds(hash)).count();
            assert_eq!(holding, usize::from(part.holds(hash)));
        }
    }

    #[test]
    fn parts_end_at_single_hashes() {
        let hash = 0xdead_beef_dead_beef;
        let mut part = Part::WHOLE;
        for _ in 0..22 {
            let children = (0..part.children()).map(|it| part.child(it));
            part = children.into_iter().find(|it| it.holds(hash)).unwrap();
        }
        assert_eq!(part, Part::only(hash));
        assert_eq!(part.bounds(), (hash, hash));
        assert_eq!(Part::WHOLE.bounds(), (0, u64::MAX));
    }
}
