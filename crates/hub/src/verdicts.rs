//! What the fleet says of its clusters, beside what the hub sees by itself.
//!
//! Whoever listens to the members' gossip sets it. Where nobody does, the hub's own link to a
//! cluster is the only witness.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use kogge_placement::failover::Word;

use crate::{lock::lock, reports::Reports};

/// The word of the other clusters about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody reaches it: whatever keeps the hub from it, it is not dead.
    Alive { seen_by: Vec<String> },
    Dead {
        since: Timestamp,
        /// Three of them, or all in fleets under four: that is the detector's to keep.
        observers: Vec<String>,
    },
}

#[derive(Clone)]
pub struct Verdicts {
    said: Arc<Mutex<Said>>,
    reports: Reports,
}

#[derive(Default)]
struct Said {
    clusters: BTreeMap<String, Verdict>,
    cut_off: bool,
}

impl Verdicts {
    pub(crate) fn new(reports: Reports) -> Self {
        Self { said: Arc::default(), reports }
    }

    /// Takes the fleet's word about a cluster; `None` where nobody says anything any more.
    pub fn set(&self, cluster: &str, verdict: Option<Verdict>) {
        let mut said = lock(&self.said);
        let now = verdict.clone();
        let before = match verdict {
            Some(it) => said.clusters.insert(cluster.to_owned(), it),
            None => said.clusters.remove(cluster),
        };
        if before != now {
            self.reports.fleet_judged();
        }
    }

    /// Others say that it is the hub that is cut off from the fleet: then nothing is moved.
    pub fn set_cut_off(&self, cut_off: bool) {
        let mut said = lock(&self.said);
        if said.cut_off != cut_off {
            said.cut_off = cut_off;
            self.reports.fleet_judged();
        }
    }

    /// Where agents report.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        lock(&self.said).cut_off
    }

    pub(crate) fn word(&self, cluster: &str) -> Word {
        match lock(&self.said).clusters.get(cluster) {
            None => Word::Silent,
            Some(Verdict::Alive { .. }) => Word::Alive,
            Some(Verdict::Dead { since, observers }) => {
                Word::Dead { since: since.as_millisecond(), observers: observers.clone() }
            }
        }
    }

    /// Who sees a cluster that the hub does not reach.
    pub(crate) fn seen_by(&self, cluster: &str) -> Vec<String> {
        match lock(&self.said).clusters.get(cluster) {
            Some(Verdict::Alive { seen_by }) => seen_by.clone(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_word_is_news() {
        let (reports, mut news) = Reports::new();
        let verdicts = Verdicts::new(reports);
        let alive = || Some(Verdict::Alive { seen_by: vec!["us".into()] });
        verdicts.set("eu", alive());
        verdicts.set("eu", alive());
        assert!(news.try_recv().is_ok() && news.try_recv().is_err());
        assert_eq!((verdicts.word("eu"), verdicts.seen_by("eu")), (Word::Alive, vec!["us".into()]));
        verdicts.set("eu", None);
        verdicts.set_cut_off(false);
        assert!(news.try_recv().is_ok() && news.try_recv().is_err());
        assert_eq!(verdicts.word("eu"), Word::Silent);
    }
}
