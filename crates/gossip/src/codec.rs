//! Bytes: variable-length numbers, and lengths that are checked before anything is taken.
//!
//! [`Reader`] never panics and allocates nothing: whatever it hands out are slices of what it was
//! given. Callers bound counts before they reserve.

use crate::id::MAX_NAME;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end too early.
    #[error("bytes end too early")]
    Short,
    /// There are more than belong to it.
    #[error("bytes are left over")]
    Long,
    /// A number, a length or a count is past its limit.
    #[error("a number is past its limit")]
    Limit,
    /// A kind, a flag or a name that does not exist.
    #[error("a value that does not exist")]
    Unknown,
}

/// What reading gives.
pub type Read<T> = Result<T, Malformed>;

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What is not yet read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[it]| it)
    }

    /// A number in as few bytes as it takes; longer spellings are refused, so that equal
    /// content has equal bytes.
    pub fn number(&mut self) -> Read<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && 0 < shift) {
                return Err(Malformed::Limit);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Limit)
    }

    /// A number that is at most `limit`.
    pub fn up_to(&mut self, limit: u64) -> Read<u64> {
        let value = self.number()?;
        if value <= limit { Ok(value) } else { Err(Malformed::Limit) }
    }

    /// A number of things, at most `limit`.
    pub fn count(&mut self, limit: usize) -> Read<usize> {
        self.up_to(limit as u64).and_then(|it| usize::try_from(it).map_err(|_| Malformed::Limit))
    }

    /// Bytes with their length before them, at most `limit`.
    pub fn bytes(&mut self, limit: usize) -> Read<&'a [u8]> {
        let count = self.count(limit)?;
        self.take(count)
    }

    /// Text with its length before it, at most `limit` bytes.
    pub fn text(&mut self, limit: usize) -> Read<&'a str> {
        std::str::from_utf8(self.bytes(limit)?).map_err(|_| Malformed::Unknown)
    }

    /// A name, unchecked but for its length.
    pub fn name(&mut self) -> Read<&'a str> {
        self.text(MAX_NAME)
    }

    /// Nothing may be left.
    pub fn end(self) -> Read<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Long) }
    }
}

/// Appends a number in as few bytes as it takes.
pub fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while 0x7f < value {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

/// Appends bytes with their length before them.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64) {
            let mut out = Vec::new();
            put_number(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn a_number_has_one_spelling(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.number() {
                let used = bytes.len() - reader.rest().len();
                let mut out = Vec::new();
                put_number(&mut out, value);
                prop_assert_eq!(&out, &bytes[..used]);
            }
        }
    }

    #[test]
    fn lengths_are_checked_before_they_are_believed() {
        assert_eq!(Reader::new(&[5, 1]).bytes(9), Err(Malformed::Short));
        assert_eq!(Reader::new(&[5, 1]).bytes(4), Err(Malformed::Limit));
        assert_eq!(Reader::new(&[0xff; 11]).number(), Err(Malformed::Limit));
        assert_eq!(Reader::new(&[1]).end(), Err(Malformed::Long));
    }
}
