//! When each node's lease is renewed and its status told. Pure.
//!
//! As real kubelets: a lease every ten seconds and a little more, so that nodes that came together
//! do not speak together for ever; a status that nothing changes every five minutes.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

const LEASE_EVERY: Duration = Duration::from_secs(10);
/// Of the time between two leases, in thousandths: as client-go's 0.04.
const JITTER: u64 = 40;
/// Five minutes.
const STATUS_EVERY: u32 = 30;
/// Those due so soon are done in one go.
const TOGETHER: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Beats(BTreeMap<String, Beat>);

#[derive(Debug)]
struct Beat {
    due: Instant,
    count: u32,
}

/// A node whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub node: String,
    pub tells_status: bool,
}

impl Beats {
    /// These nodes live. One that is new beats at once: its lease may be old.
    pub fn sync<'a>(&mut self, nodes: impl Iterator<Item = &'a str>, now: Instant) {
        let mut known = std::mem::take(&mut self.0);
        self.0 = nodes
            .map(|it| {
                let beat = known.remove(it).unwrap_or(Beat { due: now, count: 0 });
                (it.to_owned(), beat)
            })
            .collect();
    }

    pub fn next(&self) -> Option<Instant> {
        self.0.values().map(|it| it.due).min()
    }

    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        for (node, beat) in &mut self.0 {
            if now + TOGETHER < beat.due {
                continue;
            }
            beat.count = beat.count.wrapping_add(1);
            beat.due = now + wait(node, beat.count);
            due.push(Due {
                node: node.clone(),
                tells_status: beat.count.is_multiple_of(STATUS_EVERY),
            });
        }
        due
    }
}

/// After the first beat a share of the time, so that nodes part; then all of it and some more.
fn wait(node: &str, count: u32) -> Duration {
    let seed = node
        .bytes()
        .fold(u64::from(count), |hash, it| (hash ^ u64::from(it)).wrapping_mul(0x0100_0000_01b3));
    let millis = u64::try_from(LEASE_EVERY.as_millis()).unwrap_or(u64::MAX);
    if count == 1 {
        return Duration::from_millis(seed % millis);
    }
    LEASE_EVERY + Duration::from_millis(seed % (millis * JITTER / 1000))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn every_node_beats_in_time_and_few_together() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        let names: Vec<String> = (0..50).map(|it| format!("sim-{it}")).collect();
        beats.sync(names.iter().map(String::as_str), start);
        assert_eq!(beats.due(start).len(), 50, "new ones at once");
        let (mut now, mut last) = (start, BTreeMap::new());
        let mut most = 0;
        while now < start + Duration::from_mins(10) {
            now = beats.next().unwrap();
            let due = beats.due(now);
            most = most.max(due.len());
            for it in due {
                let before = last.insert(it.node, now).unwrap_or(start);
                assert!(now - before <= LEASE_EVERY + Duration::from_millis(500));
            }
        }
        assert!(most < 10, "{most} at a time");
    }

    #[tokio::test]
    async fn the_status_is_told_now_and_then_and_the_dead_are_silent() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        beats.sync(["a", "b"].into_iter(), start);
        beats.due(start);
        beats.sync(["a"].into_iter(), start);
        let (mut nodes, mut told) = (BTreeSet::new(), 0);
        for _ in 0..89 {
            for due in beats.due(beats.next().unwrap()) {
                nodes.insert(due.node);
                told += u32::from(due.tells_status);
            }
        }
        assert_eq!((nodes, told), (BTreeSet::from(["a".to_owned()]), 3));
    }
}
