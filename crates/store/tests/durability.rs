//! What `kill -9` leaves, who may open it, and what is refused. Some tests start
//! themselves again as a child process.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use futures::executor::block_on;
use kogge_store::{Change, Embedded, Expect, Op, OpenError, Options, RangeQuery, Revision, Store};
use redb::{Database, TableDefinition};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Names the directory to a child.
const CHILD: &str = "KOGGE_STORE_TEST_CHILD";
const SEED: &str = "KOGGE_STORE_TEST_SEED";

const ROUNDS: usize = 25;
const WRITERS: u64 = 16;

fn child_directory() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// This test again, in a process of its own, which reports on its standard error.
fn spawn(test: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn report(line: &str) {
    // One call, so that a line is there whole or not at all.
    io::stderr().write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
}

fn open(directory: &Path) -> Embedded {
    Embedded::open(directory, Options::default()).expect("opens")
}

fn key(writer: u64, part: char) -> String {
    format!("/{writer}/{part}")
}

/// Between nothing and some pages, different for each write.
fn value(writer: u64, number: u64) -> Bytes {
    let length = usize::try_from(number * 37 % 6_000).unwrap();
    format!("{number} {}", writer.to_string().repeat(length)).into()
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

/// Puts the same value under two keys, and under a third one every other time.
fn ops(writer: u64, number: u64) -> Vec<Op> {
    let put = Change::Put(value(writer, number));
    let third = if number % 2 == 1 { put.clone() } else { Change::Delete };
    [('a', put.clone()), ('b', put), ('c', third)]
        .map(|(part, change)| Op {
            key: key(writer, part).into(),
            expect: Expect::Anything,
            change,
        })
        .into()
}

fn write_for_ever(directory: &Path) {
    let store = open(directory);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                let known = store.get(&key(writer, 'a')).map_or(0, |it| number(&it.value));
                for number in known + 1.. {
                    let revision = block_on(store.txn(ops(writer, number))).expect("written");
                    report(&format!("ack {writer} {number} {revision}"));
                }
            });
        }
    });
}

type Acknowledged = BTreeMap<u64, (u64, Revision)>;

/// Runs a writer, and kills it a random time after a random number of writes.
async fn write_and_kill(directory: &Path, luck: &mut u64, acknowledged: &mut Acknowledged) {
    let mut child = spawn("a_killed_store_has_every_acknowledged_write_and_no_half_one", directory);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut take = |line: String| {
        if let Some(ack) = line.strip_prefix("ack ") {
            let parts: Vec<u64> = ack.split(' ').map(|it| it.parse().unwrap()).collect();
            acknowledged.insert(parts[0], (parts[1], parts[2]));
        }
    };
    for _ in 0..=random(luck, 300) {
        let line = timeout(Duration::from_mins(1), lines.next_line()).await.expect("in time");
        take(line.unwrap().expect("the child lives until it is killed"));
    }
    let moment = tokio::time::Instant::now() + Duration::from_micros(random(luck, 9_000));
    while let Ok(line) = tokio::time::timeout_at(moment, lines.next_line()).await {
        take(line.unwrap().expect("the child lives until it is killed"));
    }
    child.kill().await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        take(line);
    }
}

/// xorshift64
fn random(luck: &mut u64, below: u64) -> u64 {
    *luck ^= *luck << 13;
    *luck ^= *luck >> 7;
    *luck ^= *luck << 17;
    *luck % below
}

/// Checks what an opened store holds. What was found counts as acknowledged from then on: the next
/// writer goes on from there, whether or not the one that was killed could say so.
#[track_caller]
fn check(store: &Embedded, acknowledged: &mut Acknowledged) {
    let mut revisions = BTreeSet::new();
    for (&writer, known) in acknowledged {
        let (acked, revision) = *known;
        let a = store.get(&key(writer, 'a')).expect("an acknowledged key is there");
        let found = number(&a.value);
        assert!(acked <= found, "writer {writer}: {acked} was acknowledged, {found} is there");
        assert!(found <= acked + 1, "a writer asks one thing at a time");
        assert!(acked != found || a.modified == revision, "at the acknowledged revision");
        assert_eq!(a.value, value(writer, found), "writer {writer}: the value is whole");
        let b = store.get(&key(writer, 'b')).expect("written with the first");
        assert_eq!((&a.value, a.modified), (&b.value, b.modified), "writer {writer}: half there");
        let third = store.get(&key(writer, 'c'));
        let want = (found % 2 == 1).then_some((a.value, a.modified));
        assert_eq!(third.map(|it| (it.value, it.modified)), want, "writer {writer}: half there");
        assert!(a.modified <= store.revision());
        assert!(revisions.insert(a.modified), "a revision is one transaction's");
        *known = (found, a.modified);
    }
}

#[tokio::test]
async fn a_killed_store_has_every_acknowledged_write_and_no_half_one() {
    if let Some(directory) = child_directory() {
        return write_for_ever(&directory);
    }
    let new = || uuid::Uuid::new_v4().as_u64_pair().0;
    let seed = std::env::var(SEED).map_or_else(|_| new(), |it| it.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (mut luck, mut acknowledged) = (seed, Acknowledged::new());
    for round in 1..=ROUNDS {
        write_and_kill(dir.path(), &mut luck, &mut acknowledged).await;
        let checking = AssertUnwindSafe(|| check(&open(dir.path()), &mut acknowledged));
        let checked = std::panic::catch_unwind(checking);
        assert!(checked.is_ok(), "round {round}; again with {SEED}={seed}");
    }
    assert_eq!(acknowledged.len() as u64, WRITERS, "every writer had its turn");
}

#[tokio::test]
async fn a_second_process_is_told_that_the_store_is_in_use() {
    if let Some(directory) = child_directory() {
        let opened = Embedded::open(&directory, Options::default());
        return report(&opened.map_or_else(|error| error.to_string(), |_| "opened".to_owned()));
    }
    let dir = tempfile::tempdir().unwrap();
    let second = async || {
        let child = spawn("a_second_process_is_told_that_the_store_is_in_use", dir.path());
        String::from_utf8(child.wait_with_output().await.unwrap().stderr).unwrap()
    };
    let first = open(dir.path());
    let refused = format!("the store in {} is in use by another process\n", dir.path().display());
    assert_eq!(second().await, refused);
    drop(first);
    assert_eq!(second().await, "opened\n");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("new");
    let _store = open(&directory);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<PathBuf> = directory.read_dir().unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "the store and its lock: {files:?}");
    assert!(files.iter().all(|it| mode(it) == 0o600), "{files:?}");
}

#[test]
fn a_store_that_was_only_half_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.redb.new"), [0; 4_096]).unwrap();
    assert_eq!(open(dir.path()).revision(), 0);
}

const RECORDS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, u128> = TableDefinition::new("meta");

/// The error of opening a store of one entry that was tampered with.
fn refused(tamper: impl FnOnce(&redb::WriteTransaction)) -> (OpenError, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    block_on(store.txn(ops(1, 1))).unwrap();
    drop(store);
    let file = dir.path().join("store.redb");
    let database = Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    tamper(&transaction);
    transaction.commit().unwrap();
    drop(database);
    let error = Embedded::open(dir.path(), Options::default()).err().expect("refused");
    (error, file)
}

#[test]
fn a_damaged_record_is_named_and_refused() {
    let (error, file) = refused(|it| {
        it.open_table(RECORDS)
            .unwrap()
            .insert((1, 1), b"nonsense, but long enough".as_slice())
            .unwrap();
    });
    let want = format!(
        "{} is damaged at revision 1: the record is of a format that this version does not know; \
         restore it from a backup",
        file.display()
    );
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_record_beyond_the_newest_revision_is_refused() {
    let (error, _) = refused(|it| {
        it.open_table(META).unwrap().insert("revision", 0).unwrap();
    });
    assert!(error.to_string().contains("damaged at revision 1: the record is newer"), "{error}");
}

#[test]
fn a_store_of_a_later_version_is_refused() {
    let (error, file) = refused(|it| {
        it.open_table(META).unwrap().insert("layout", 2).unwrap();
    });
    let want = format!("{} has layout 2; this version knows only 1", file.display());
    assert_eq!(error.to_string(), want);
}

#[test]
fn overwriting_does_not_make_the_file_grow() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let size = || dir.path().join("store.redb").metadata().unwrap().len();
    let write = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            block_on(store.txn(ops(number % 8, number))).unwrap();
        }
    };
    write(0..200);
    let before = size();
    write(200..1_000);
    assert!(size() <= before * 2, "{before} bytes became {}", size());
    assert_eq!(store.range(&RangeQuery::default()).unwrap().entries.len(), 20);
}
