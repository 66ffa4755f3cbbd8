//! The bytes of one entry on disk, version 1.
//!
//! ```text
//! format u8 | encoding u8 | key id u16 | checksum u32 | created u64 | key length u32 | key | value
//! ```
//! Little endian. The checksum covers all else in the record, and its place in
//! the log, so that neither a torn record nor one in a wrong place is believed.
//! Encoding 0 is plain; an encrypted one will have another, and name its key.

use bytes::Bytes;

use crate::types::{Entry, Revision};

/// Where a record is: its revision, and which event of that revision wrote it.
pub(crate) type Place = (Revision, u32);

const FORMAT: u8 = 1;
const PLAIN: u8 = 0;
const NO_KEY: u16 = 0;
const CHECKSUM: std::ops::Range<usize> = 4..8;
const HEAD: usize = 20;

pub(crate) fn encode(place: Place, entry: &Entry) -> Vec<u8> {
    let key = entry.key.as_bytes();
    let length = u32::try_from(key.len()).expect("keys are paths, far below 4 GiB");
    let mut record = Vec::with_capacity(HEAD + key.len() + entry.value.len());
    record.extend([FORMAT, PLAIN]);
    record.extend(NO_KEY.to_le_bytes());
    record.extend([0; 4]);
    record.extend(entry.created.to_le_bytes());
    record.extend(length.to_le_bytes());
    record.extend(key);
    record.extend_from_slice(&entry.value);
    let sum = checksum(place, &record);
    record[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    record
}

/// The entry of a record, or what is wrong with it.
pub(crate) fn decode(place: Place, record: &[u8]) -> Result<Entry, &'static str> {
    const SHORT: &str = "the record is too short";
    let (head, body) = record.split_first_chunk::<HEAD>().ok_or(SHORT)?;
    if head[0] != FORMAT {
        return Err("the record is of a format that this version does not know");
    }
    if checksum(place, record).to_le_bytes() != head[CHECKSUM] {
        return Err("the record's checksum is wrong");
    }
    if head[1] != PLAIN || head[2..4] != NO_KEY.to_le_bytes() {
        return Err("the record is encrypted, which this version cannot read");
    }
    let created = u64::from_le_bytes(head[8..16].try_into().map_err(|_| SHORT)?);
    let length = u32::from_le_bytes(head[16..20].try_into().map_err(|_| SHORT)?);
    let (key, value) = body.split_at_checked(length as usize).ok_or(SHORT)?;
    let key = std::str::from_utf8(key).map_err(|_| "the record's key is not UTF-8")?;
    let value = Bytes::copy_from_slice(value);
    Ok(Entry { key: key.into(), value, created, modified: place.0 })
}

fn checksum(place: Place, record: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&place.0.to_le_bytes());
    sum.update(&place.1.to_le_bytes());
    sum.update(&record[..CHECKSUM.start]);
    sum.update(&record[CHECKSUM.end..]);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        let (key, value) = ("/pods/shop/web".into(), Bytes::from_static(b"{}"));
        Entry { key, value, created: 3, modified: 7 }
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        assert_eq!(decode((7, 1), &encode((7, 1), &entry())), Ok(entry()));
    }

    #[test]
    fn a_record_in_a_wrong_place_is_refused() {
        let wrong = Err("the record's checksum is wrong");
        assert_eq!(decode((8, 1), &encode((7, 1), &entry())), wrong);
        assert_eq!(decode((7, 0), &encode((7, 1), &entry())), wrong);
    }

    proptest! {
        #[test]
        fn a_torn_record_is_refused(keep in 0_usize..36) {
            let record = encode((7, 1), &entry());
            prop_assert!(decode((7, 1), &record[..keep.min(record.len() - 1)]).is_err());
        }

        #[test]
        fn a_flipped_bit_is_noticed(byte in 0_usize..36, bit in 0_u8..8) {
            let mut record = encode((7, 1), &entry());
            record[byte] ^= 1 << bit;
            prop_assert!(decode((7, 1), &record).is_err());
        }
    }
}
