//! What the embedded store does in a second, and what it costs: 1 KiB objects, 100,000 of them.
//!
//! `cargo bench -p kogge-store`. The directory is made in `TMPDIR`: it should be on a real disk.
#![expect(clippy::print_stdout, reason = "the figures are its output")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kogge_store::{Change, Embedded, Expect, Op, Options, RangeQuery, Store};
use tokio::{task::JoinSet, time::Instant};

const OBJECTS: u64 = 100_000;
const SECONDS: Duration = Duration::from_secs(5);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // Each in a process of its own, so that one's memory is not the other's.
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
            ["fill", directory] => fill(Path::new(directory)).await,
            ["open", directory] => open(Path::new(directory)),
            ["write", directory] => write(Path::new(directory)).await,
            _ => all(),
        }
    });
}

fn all() {
    let dir = tempfile::tempdir().expect("a directory");
    for part in ["fill", "open", "write", "open"] {
        let this = std::env::current_exe().expect("this program");
        let status = Command::new(this).arg(part).arg(dir.path()).status().expect("started");
        assert!(status.success(), "{part}: {status}");
        let size = dir.path().join("store.redb").metadata().expect("the file").len();
        row("file after that", format_args!("{} MiB", size >> 20));
    }
}

fn row(what: &str, figure: impl std::fmt::Display) {
    println!("{what:58} {figure}");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn store(directory: &Path) -> Arc<Embedded> {
    Arc::new(Embedded::open(directory, Options::default()).expect("opens"))
}

fn put(number: u64, salt: u64) -> Vec<Op> {
    // Not compressible, and its start says when it was made.
    let mut value = Vec::with_capacity(1024);
    let mut luck = (number << 20) ^ salt | 1;
    value.extend(salt.to_le_bytes());
    while value.len() < 1024 {
        luck ^= luck << 13;
        luck ^= luck >> 7;
        luck ^= luck << 17;
        value.extend(luck.to_le_bytes());
    }
    let key = format!("/apps/deployments/namespace-{:03}/object-{number:06}", number % 100);
    let change = Change::Put(Bytes::from(value));
    vec![Op { key: key.into(), expect: Expect::Anything, change }]
}

/// Writers that each take the next number until there is none; prints the rate and the waits.
async fn run(
    what: &str,
    store: &Arc<Embedded>,
    writers: usize,
    next: impl Fn(u64) -> Option<Vec<Op>> + Send + Sync + 'static,
) {
    let (next, count) = (Arc::new(next), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (store, next, count) = (store.clone(), next.clone(), count.clone());
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while let Some(ops) = next(count.fetch_add(1, Ordering::Relaxed)) {
                let asked = Instant::now();
                store.txn(ops).await.expect("written");
                waits.push(asked.elapsed());
            }
            waits
        });
    }
    let waits: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let rate = waits.len() as f64 / start.elapsed().as_secs_f64();
    row(what, format_args!("{rate:.0}/s, {}", percentiles(waits)));
}

fn percentiles(mut waits: Vec<Duration>) -> String {
    waits.sort_unstable();
    let at = |share: usize| waits.get((waits.len() * share / 100).min(waits.len() - 1)).copied();
    let milliseconds = |it: Option<Duration>| it.unwrap_or_default().as_secs_f64() * 1e3;
    let [p50, p99] = [50, 99].map(|share| milliseconds(at(share)));
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms")
}

async fn fill(directory: &Path) {
    let (before, store) = (resident(), store(directory));
    run("100,000 objects created, durable, 64 writers", &store, 64, |n| {
        (n < OBJECTS).then(|| put(n, 0))
    })
    .await;
    memory("memory per object, after creating them", before);
}

fn memory(what: &str, before: u64) {
    let each = (resident() - before) as f64 * 1024.0 / OBJECTS as f64;
    row(what, format_args!("{each:.0} bytes (in all {} MiB)", resident() >> 10));
}

fn open(directory: &Path) {
    let (before, start) = (resident(), Instant::now());
    let store = store(directory);
    row("100,000 objects opened", format_args!("{:.2} s", start.elapsed().as_secs_f64()));
    let found = store.range(&RangeQuery::default()).expect("read").entries.len() as u64;
    assert_eq!(found, OBJECTS, "all are there");
    memory("memory per object, after opening", before);
}

/// The operations of a random object, for some seconds.
fn updates(salt: u64) -> impl Fn(u64) -> Option<Vec<Op>> + Send + Sync + 'static {
    let end = Instant::now() + SECONDS;
    let scattered = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    move |n| (Instant::now() < end).then(|| put(scattered(n) % OBJECTS, salt))
}

async fn write(directory: &Path) {
    let store = store(directory);
    for writers in [1, 64, 512] {
        let what = format!("random updates, durable, writers: {writers}");
        run(&what, &store, writers, updates(1)).await;
    }
    let others: Vec<_> = (0..1_000)
        .map(|n| store.watch(&format!("/other/{n}/"), store.revision()).expect("watch"))
        .map(|mut it| tokio::spawn(async move { it.next().await }))
        .collect();
    run("the same, 64 writers, 1,000 watches of something else", &store, 64, updates(2)).await;
    others.iter().for_each(tokio::task::JoinHandle::abort);
    fan_out(&store).await;
    pages(&store);
    let memory = Arc::new(Embedded::in_memory());
    run("in memory, writers: 1", &memory, 1, updates(3)).await;
    run("in memory, writers: 64", &memory, 64, updates(4)).await;
}

async fn fan_out(store: &Arc<Embedded>) {
    const WATCHERS: usize = 50;
    let start = Instant::now();
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut watch = store.watch("/apps/", store.revision()).expect("watch");
        watchers.spawn(async move {
            let (mut waits, mut behind) = (Vec::new(), true);
            while let Some(event) = watch.next().await {
                let value = event.value.unwrap_or_default();
                let asked = value.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
                if asked == u64::MAX {
                    behind = false;
                    break;
                }
                waits.push(start.elapsed().saturating_sub(Duration::from_nanos(asked)));
            }
            (waits, behind)
        });
    }
    let end = start + SECONDS;
    run("random updates, durable, 64 writers, 50 watches of them", store, 64, move |n| {
        let now = u64::try_from(start.elapsed().as_nanos()).unwrap_or(0);
        (Instant::now() < end).then(|| put(n.wrapping_mul(7_919) % OBJECTS, now))
    })
    .await;
    store.txn(put(0, u64::MAX)).await.expect("written");
    let seen = watchers.join_all().await;
    let behind = seen.iter().filter(|it| it.1).count();
    let waits: Vec<Duration> = seen.into_iter().flat_map(|it| it.0).collect();
    let rate = waits.len() as f64 / start.elapsed().as_secs_f64();
    let waits = percentiles(waits);
    row("- asked to seen", format_args!("{rate:.0} events/s, {waits}; fell behind: {behind}"));
}

/// A list in pages of 500 as of a revision that is 5,000 writes old.
fn pages(store: &Embedded) {
    let at = Some(store.revision() - 5_000);
    let (start, mut after, mut count) = (Instant::now(), None, 0);
    loop {
        let query = RangeQuery { prefix: "/apps/".into(), after, limit: 500, at };
        let page = store.range(&query).expect("kept");
        count += page.entries.len();
        after = page.entries.last().map(|it| it.key.clone());
        if page.remaining == 0 {
            break;
        }
    }
    assert_eq!(count as u64, OBJECTS);
    row(
        "list of 100,000 as of 5,000 writes ago, pages of 500",
        format_args!("{:?}", start.elapsed()),
    );
}
