//! A disk that fails and loses power, and what the store makes of it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use futures::executor::block_on;
use proptest::prelude::*;
use redb::StorageBackend;

use crate::{
    Change, Embedded, Expect, Op, Options, RangeQuery, Revision, Store, TxnError, file, log::Opener,
};

/// A disk with a cache: what was not synced is lost with the power, or half of it.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// As programs see it.
    cached: Vec<u8>,
    /// As it is after the last sync.
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    /// Writes and syncs so far.
    calls: usize,
    /// Calls that fail.
    broken: std::ops::Range<usize>,
    /// The call at which a picture is taken of what a power cut would leave.
    cut: Option<(usize, u64)>,
    left: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Write {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Write {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Bytes(offset, bytes) => {
                let end = offset + bytes.len();
                image.resize(image.len().max(end), 0);
                image[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Platter {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if let Some((_, luck)) = self.cut.filter(|(at, _)| *at == self.calls) {
            self.left = Some(self.after_a_power_cut(luck));
        }
        if self.broken.contains(&self.calls) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Of what was not synced, some sectors made it, in any order.
    fn after_a_power_cut(&self, mut luck: u64) -> Vec<u8> {
        let mut image = self.synced.clone();
        for write in &self.unsynced {
            match write {
                Write::Length(_) => write.apply(&mut image),
                Write::Bytes(offset, bytes) => {
                    for (i, sector) in bytes.chunks(512).enumerate() {
                        // xorshift64
                        luck ^= luck << 13;
                        luck ^= luck >> 7;
                        luck ^= luck << 17;
                        if luck.is_multiple_of(2) {
                            Write::Bytes(offset + i * 512, sector.to_vec()).apply(&mut image);
                        }
                    }
                }
            }
        }
        image
    }

    fn write(&mut self, write: Write) -> io::Result<()> {
        self.call()?;
        write.apply(&mut self.cached);
        self.unsynced.push(write);
        Ok(())
    }
}

impl Disk {
    fn of(image: Vec<u8>) -> Self {
        let (cached, synced) = (image.clone(), image);
        Self(Arc::new(Mutex::new(Platter { cached, synced, ..Platter::default() })))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move || file::builder().create_with_backend(disk.clone()))
    }

    fn open(&self) -> Embedded {
        Embedded::open_log(self.opener(), Path::new("disk"), Options::default()).expect("opens")
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let platter = self.platter();
        let bytes = platter.cached.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.platter().write(Write::Length(usize::try_from(length).unwrap()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.platter().write(Write::Bytes(usize::try_from(offset).unwrap(), data.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.call()?;
        platter.synced = platter.cached.clone();
        platter.unsynced.clear();
        Ok(())
    }
}

/// All that is in a store: key to value, creation and modification.
type Content = BTreeMap<String, (Bytes, Revision, Revision)>;

fn content(store: &Embedded) -> Content {
    let all = store.range(&RangeQuery::default()).unwrap().entries.into_iter();
    all.map(|it| (it.key.to_string(), (it.value, it.created, it.modified))).collect()
}

/// A transaction over two keys: one put, the other put or deleted.
fn ops(number: u8) -> Vec<Op> {
    let op = |key: u8, change| Op {
        key: format!("/{}", key % 5).into(),
        expect: Expect::Anything,
        change,
    };
    let value = Bytes::from(vec![number; usize::from(number) * 40]);
    let other = if number.is_multiple_of(3) { Change::Delete } else { Change::Put(value.clone()) };
    vec![op(number, Change::Put(value)), op(number / 5, other)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_power_cut_loses_no_acknowledged_write_and_halves_none(
        numbers in prop::collection::vec(any::<u8>(), 1..25),
        cut in 0.0..1.0_f64,
        luck in 1..u64::MAX,
    ) {
        // A first run counts the calls, so that the cut is somewhere in the second.
        let run = |disk: &Disk| {
            let store = disk.open();
            let mut acknowledged = vec![(disk.platter().calls, 0, Content::new())];
            for number in &numbers {
                let revision = block_on(store.txn(ops(*number))).expect("written");
                acknowledged.push((disk.platter().calls, revision, content(&store)));
            }
            acknowledged
        };
        let calls: Vec<usize> = run(&Disk::default()).iter().map(|it| it.0).collect();
        // Until the store is made there is nothing to lose; a file gets its name after that.
        let (made, end) = (calls[0], calls[calls.len() - 1]);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a share of a small count")]
        let at = made + 1 + (cut * (end - made) as f64) as usize;

        let disk = Disk::default();
        disk.platter().cut = Some((at, luck));
        let history = run(&disk);
        let left = disk.platter().left.take().expect("both runs make the same calls");
        let acknowledged = history.iter().rev().find(|(calls, ..)| *calls < at).map_or(0, |it| it.1);

        let store = Disk::of(left).open();
        let revision = store.revision();
        prop_assert!(acknowledged <= revision && revision <= acknowledged + 1);
        let then = history.into_iter().find(|(_, it, _)| *it == revision).expect("a revision that was");
        prop_assert_eq!(content(&store), then.2);
    }

    #[test]
    fn a_write_that_fails_changes_nothing_and_later_ones_go_through(
        numbers in prop::collection::vec(any::<u8>(), 1..25),
        from in 0_usize..60,
        length in 1_usize..30,
    ) {
        let disk = Disk::default();
        let store = disk.open();
        let start = disk.platter().calls + 1 + from;
        disk.platter().broken = start..start + length;
        let mut before = (store.revision(), content(&store));
        for number in numbers {
            match block_on(store.txn(ops(number))) {
                Ok(revision) => {
                    prop_assert_eq!(revision, before.0 + 1);
                    before = (revision, content(&store));
                }
                Err(TxnError::Unavailable(reason)) => {
                    prop_assert!(disk.platter().calls >= start, "{}", reason);
                }
                Err(error) => panic!("{error}"),
            }
            prop_assert_eq!(store.revision(), before.0);
            prop_assert_eq!(&content(&store), &before.1);
        }
        disk.platter().broken = 0..0;
        let revision = block_on(store.txn(ops(1))).expect("the disk is well again");
        prop_assert_eq!(revision, before.0 + 1);
        let (id, now) = (store.id(), content(&store));
        drop(store);
        let store = disk.open();
        prop_assert_eq!((store.id(), store.revision()), (id, revision));
        prop_assert_eq!(content(&store), now);
    }

    #[test]
    fn a_damaged_file_is_refused_or_reads_as_it_was(place in 0.0..1.0_f64, bit in 0_u8..8) {
        let disk = Disk::default();
        let store = disk.open();
        for number in 0..40 {
            block_on(store.txn(ops(number))).expect("written");
        }
        let was = (store.revision(), content(&store));
        drop(store);
        let mut image = disk.platter().synced.clone();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a share of a small count")]
        let at = (place * image.len() as f64) as usize;
        image[at] ^= 1 << bit;
        let opened =
            Embedded::open_log(Disk::of(image).opener(), Path::new("disk"), Options::default());
        if let Ok(store) = opened {
            prop_assert_eq!((store.revision(), content(&store)), was);
        }
    }
}
