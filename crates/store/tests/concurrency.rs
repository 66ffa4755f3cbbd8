//! Many writers at once: every revision has one winner, and watches see all of them in order.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{thread, time::Duration};

use bytes::Bytes;
use futures::executor::block_on;
use kogge_store::{Change, Embedded, Event, Expect, Op, Options, Store, TxnError, Watch};

const WRITERS: u64 = 16;
const EACH: u64 = 40;

fn put(key: &str, expect: Expect, value: u64) -> Op {
    let change = Change::Put(Bytes::copy_from_slice(&value.to_le_bytes()));
    Op { key: key.into(), expect, change }
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

/// What a watch says next, which must be soon.
fn next(watch: &mut Watch) -> Option<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let next = async { tokio::time::timeout(Duration::from_secs(30), watch.next()).await };
    runtime.block_on(next).expect("the watch was not woken")
}

/// Adds one, again and again until nobody else came in between.
fn increment(store: &Embedded) {
    loop {
        let found = store.get("/counter").expect("it is there");
        let next = number(&found.value) + 1;
        match block_on(store.txn(vec![put("/counter", Expect::At(found.modified), next)])) {
            Ok(revision) => return assert!(found.modified < revision),
            Err(TxnError::Conflict { found: other, .. }) => {
                assert!(found.modified < other.expect("never deleted").modified);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[track_caller]
fn check(store: &Embedded) {
    let first = block_on(store.txn(vec![put("/counter", Expect::Absent, 0)])).unwrap();
    let mut watch = store.watch("/counter", first).unwrap();
    let mut elsewhere = store.watch("/other", first).unwrap();
    let seen = thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| (0..EACH).for_each(|_| increment(store)));
        }
        scope.spawn(|| {
            for value in 0..100 {
                block_on(store.txn(vec![put("/other", Expect::Anything, value)])).unwrap();
            }
        });
        let all = |_| next(&mut watch).expect("not behind");
        (0..WRITERS * EACH).map(all).collect::<Vec<_>>()
    });
    let mut revision = first;
    for (n, event) in (0..).zip(seen) {
        let previous = event.previous.expect("never deleted");
        assert_eq!((number(&previous.value), previous.modified), (n, revision));
        assert_eq!(number(&event.value.expect("never deleted")), n + 1);
        assert!(revision < event.revision);
        revision = event.revision;
    }
    for value in 0..100 {
        assert_eq!(number(&next(&mut elsewhere).unwrap().value.unwrap()), value);
    }
    assert_eq!(store.revision(), first + WRITERS * EACH + 100, "conflicts take no revision");
}

#[test]
fn one_of_many_writers_wins_each_revision_in_memory() {
    check(&Embedded::in_memory());
}

#[test]
fn one_of_many_writers_wins_each_revision_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    check(&Embedded::open(dir.path(), Options::default()).unwrap());
}

#[test]
fn one_of_many_creates_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let create = |n| block_on(store.txn(vec![put("/new", Expect::Absent, n)])).is_ok();
    let wins = thread::scope(|scope| {
        let create = &create;
        let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || create(n))).collect();
        writers.into_iter().map(|it| it.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!((wins, store.revision()), (1, 1));
}

#[test]
fn closing_ends_a_waiting_watch_and_commits_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    let mut watch = store.watch("/", 0).unwrap();
    let watcher = thread::spawn(move || {
        let first = next(&mut watch).map(|it| it.revision);
        (first, next(&mut watch))
    });
    drop(store.txn(vec![put("/a", Expect::Anything, 1)]));
    drop(store);
    assert_eq!(watcher.join().unwrap(), (Some(1), None));
    let store = Embedded::open(dir.path(), Options::default()).unwrap();
    assert_eq!(store.revision(), 1);
}
