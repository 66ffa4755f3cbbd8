//! Names of members, their place on the ring, and moments.

use std::fmt;
use std::sync::Arc;

/// A moment or a span: microseconds of any clock that never runs backwards.
pub type Micros = u64;

/// A millisecond.
pub const MS: Micros = 1_000;
/// A second.
pub const SECOND: Micros = 1_000 * MS;

/// The longest name, as of a DNS label.
pub const MAX_NAME: usize = 63;

/// A member's name: a DNS label of at most 63 bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// `None` unless `text` is a DNS label: lower case letters, digits and inner hyphens.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit() || *it == b'-';
        let bytes = text.as_bytes();
        let ends = [bytes.first()?, bytes.last()?];
        let label = bytes.len() <= MAX_NAME && bytes.iter().all(legal) && !ends.contains(&&b'-');
        label.then(|| Self(text.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One round of mixing: a folded multiplication, as in wyhash.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    low(product) ^ low(product >> 64)
}

/// The low half.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(crate) fn low(wide: u128) -> u64 {
    wide as u64
}

/// A hash of bytes, spread over all 64 bits. Not cryptographic.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(seed, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        state = mix(state, u64::from_le_bytes(chunk.try_into().expect("chunks of eight")));
    }
    let mut rest = [0; 8];
    rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(mix(state, u64::from_le_bytes(rest)), seed)
}

/// Seeded random numbers (SplitMix64). Good enough to choose peers and jitter, no more.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        low((u128::from(self.any()) * u128::from(bound)) >> 64)
    }

    /// A number of `range`.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// True in `parts` of a million cases.
    pub fn chance(&mut self, parts: u64) -> bool {
        self.below(1_000_000) < parts
    }

    /// One of `slice`.
    pub fn choose<'a, T>(&mut self, slice: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(slice.len() as u64)).ok()?;
        slice.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        for good in ["a", "eu-1", "0", &"a".repeat(63)] {
            assert!(Name::new(good).is_some(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "ä", &"a".repeat(64), "a b"] {
            assert!(Name::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hashes_spread_over_the_top_bits() {
        let mut octants = [0; 8];
        for number in 0..8_000 {
            let hashed = hash(7, format!("m{number:04}").as_bytes());
            octants[usize::try_from(hashed >> 61).unwrap()] += 1;
        }
        assert!(octants.iter().all(|it| (850..1150).contains(it)), "{octants:?}");
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut rng = Rng::new(1);
        assert!((0..1000).all(|_| (10..40).contains(&rng.within(10..40))));
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.choose::<u8>(&[]), None);
    }
}
