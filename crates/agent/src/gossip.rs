//! What a cluster tells the fleet: how it is, how much room it has, and whether what is wanted
//! there is so.
//!
//! [`Telling`] hears what the agent reports to its hub, and gossips the gist of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::stream::BoxStream;
use kogge_gossip::{Amount, Capacity, Head, Health};
use kogge_member::ObjectKey;
use kogge_model::{ResourceName, Resources};
use kogge_sync::canonical;
use serde_json::json;
use tokio::sync::watch;

use crate::capacity::NOT_REACHABLE;
use crate::link::{ClusterState, Desired, HubLink, Outcome, Report, Room, Unready};
use crate::lock::lock;

/// The smallest pod of the histogram; each of its steps is twice the one before.
const SMALLEST: (i64, i64) = (250, 512 << 20);

const MIB: i64 = 1 << 20;

/// A hub's link that keeps [`Head`] up to date. It is full of the cluster as soon as the agent has
/// reported on it once.
pub struct Telling {
    inner: Arc<dyn HubLink>,
    known: Mutex<Known>,
    head: watch::Sender<Head>,
}

#[derive(Default)]
struct Known {
    cluster: ClusterState,
    hub_link: bool,
    works: Works,
}

/// What became of the works, so far. Sums are kept: there may be thousands of works.
#[derive(Default)]
struct Works {
    outcomes: BTreeMap<ObjectKey, Work>,
    /// The same for the same works, in whatever order they were applied.
    digest: [u8; 16],
    drifted: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Work {
    digest: [u8; 16],
    /// It is as it should be.
    applied: bool,
}

impl Telling {
    /// The link, and what there is to tell, newest first.
    pub fn new(inner: Arc<dyn HubLink>) -> (Self, watch::Receiver<Head>) {
        let (head, heads) = watch::channel(Head::default());
        (Self { inner, known: Mutex::default(), head }, heads)
    }

    /// Whether the hub is heard, and not through another member.
    pub fn hub_link(&self, has_one: bool) {
        let mut known = lock(&self.known);
        if known.hub_link != has_one {
            known.hub_link = has_one;
            self.head.send_replace(known.head());
        }
    }
}

impl HubLink for Telling {
    fn desired(&self) -> BoxStream<'static, Desired> {
        self.inner.desired()
    }

    fn report(&self, report: Report) {
        let mut known = lock(&self.known);
        if known.take(&report) {
            self.head.send_replace(known.head());
        }
        drop(known);
        self.inner.report(report);
    }
}

/// What a cluster in this state tells the fleet, its works aside.
pub fn head_of(state: &ClusterState) -> Head {
    Head {
        health: health(state),
        hub_link: true,
        agent: version(env!("CARGO_PKG_VERSION")),
        kubernetes: version(&state.kubernetes_version),
        capacity: capacity(state),
        apis: digest(&hash_of(state)),
        ..Head::default()
    }
}

impl Known {
    /// Says whether there is something to tell.
    fn take(&mut self, report: &Report) -> bool {
        match report {
            Report::Cluster(state) => self.cluster.clone_from(state),
            Report::Applied { key, hash, outcome, .. } => {
                let applied = *outcome == Outcome::Applied;
                let text = format!("{key} {hash} {applied}");
                let digest = digest(&canonical::hash(text.as_bytes()));
                return self.works.set(key, Some(Work { digest, applied }));
            }
            Report::Removed { key } => return self.works.set(key, None),
            _ => return false,
        }
        true
    }

    fn head(&self) -> Head {
        let works = &self.works;
        Head {
            hub_link: self.hub_link,
            works: works.digest,
            drifted: works.drifted,
            ..head_of(&self.cluster)
        }
    }
}

impl Works {
    /// Says whether it was otherwise before.
    fn set(&mut self, key: &ObjectKey, now: Option<Work>) -> bool {
        let before = match now {
            Some(it) => self.outcomes.insert(key.clone(), it),
            None => self.outcomes.remove(key),
        };
        for work in before.iter().chain(&now) {
            for (byte, more) in self.digest.iter_mut().zip(work.digest) {
                *byte ^= more;
            }
        }
        let count = |it: Option<Work>| u64::from(it.is_some_and(|it| !it.applied));
        self.drifted = self.drifted + count(now) - count(before);
        before != now
    }
}

fn health(state: &ClusterState) -> Health {
    match &state.ready {
        Some(Ok(())) => Health::Serving,
        Some(Err(Unready { reason, .. })) if reason == NOT_REACHABLE => Health::Down,
        _ => Health::Degraded,
    }
}

fn hash_of(state: &ClusterState) -> String {
    canonical::hash(format!("{:?}", state.api_enablements).as_bytes())
}

/// The first half of a hash in hex.
fn digest(hex: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = hex.get(at * 2..at * 2 + 2).unwrap_or("0");
        *byte = u8::from_str_radix(pair, 16).unwrap_or(0);
    }
    bytes
}

/// `v1.37.2+x` -> 1, 37, 2; what is no number is 0.
fn version(text: &str) -> [u16; 3] {
    let mut parts = text.trim_start_matches('v').split(|it: char| !it.is_ascii_digit());
    [(); 3].map(|()| parts.next().and_then(|it| it.parse().ok()).unwrap_or(0))
}

fn capacity(state: &ClusterState) -> Capacity {
    let amount = |resource: &ResourceName, unit: i64| {
        let of = |list: &BTreeMap<String, String>| {
            let amount = Resources::from_value(&json!(list)).map_or(0, |it| it.get(resource));
            u64::try_from(amount / unit).unwrap_or(0)
        };
        Amount { total: of(&state.allocatable), used: of(&state.allocated) }
    };
    Capacity {
        nodes: state.nodes_total.into(),
        ready: state.nodes_ready.into(),
        cpu: amount(&ResourceName::Cpu, 1),
        memory: amount(&ResourceName::Memory, MIB),
        pods: amount(&ResourceName::Pods, 1),
        extended: Vec::new(),
        largest_fit: largest_fit(state.rooms.as_deref().unwrap_or_default()),
    }
}

/// How many pods of each size the nodes take, each size for itself.
fn largest_fit(rooms: &[Room]) -> [u16; 8] {
    let mut sizes = [0; 8];
    for (at, size) in sizes.iter_mut().enumerate() {
        let one = Resources::new(SMALLEST.0 << at, SMALLEST.1 << at);
        let fits = |it: &Room| it.free.fits(&one).max(0).saturating_mul(it.nodes.into());
        let all = rooms.iter().map(fits).fold(0, i64::saturating_add);
        *size = u16::try_from(all).unwrap_or(u16::MAX);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl HubLink for Nobody {
        fn desired(&self) -> BoxStream<'static, Desired> {
            Box::pin(futures::stream::pending())
        }

        fn report(&self, _: Report) {}
    }

    fn state() -> ClusterState {
        let quantities = |cpu: &str| {
            let list = [("cpu", cpu), ("memory", "16Gi")];
            list.map(|(name, it)| (name.to_owned(), it.to_owned())).into()
        };
        ClusterState {
            ready: Some(Ok(())),
            kubernetes_version: "v1.37.2+kogge-sim".to_owned(),
            nodes_total: 3,
            nodes_ready: 2,
            allocatable: quantities("8"),
            allocated: quantities("1500m"),
            rooms: Some(vec![Room { free: Resources::new(3_250, 16 << 30), nodes: 2 }]),
            ..ClusterState::default()
        }
    }

    #[test]
    fn a_head_is_the_gist_of_the_reports() {
        let (telling, heads) = Telling::new(Arc::new(Nobody));
        telling.report(Report::Cluster(Box::new(state())));
        let head = heads.borrow().clone();
        assert_eq!((head.health, head.kubernetes), (Health::Serving, [1, 37, 2]));
        assert_eq!((head.capacity.nodes, head.capacity.ready), (3, 2));
        assert_eq!(head.capacity.cpu, Amount { total: 8_000, used: 1_500 });
        assert_eq!(head.capacity.memory.total, 16 << 10);
        assert_eq!(head.capacity.largest_fit, [26, 12, 6, 2, 0, 0, 0, 0]);
        assert_ne!(head.apis, [0; 16]);
    }

    #[test]
    fn the_digest_of_works_does_not_depend_on_their_order() {
        let applied = |name: &str, outcome: Outcome| Report::Applied {
            key: ObjectKey::new("", "ConfigMap", "shop", name),
            hash: "ab".repeat(32),
            generation: 1,
            outcome,
        };
        let head = |reports: &[Report]| {
            let (telling, heads) = Telling::new(Arc::new(Nobody));
            for report in reports {
                telling.report(report.clone());
            }
            heads.borrow().clone()
        };
        let (a, b) = (applied("a", Outcome::Applied), applied("b", Outcome::Applied));
        assert_eq!(head(&[a.clone(), b.clone()]).works, head(&[b.clone(), a.clone()]).works);
        assert_ne!(head(&[a.clone(), b]).works, head(std::slice::from_ref(&a)).works);
        let failed = head(&[a.clone(), applied("b", Outcome::Failed("no".into()))]);
        assert_eq!((failed.drifted, head(&[a]).drifted), (1, 0));
    }
}
