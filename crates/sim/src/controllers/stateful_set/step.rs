//! Which pod of a StatefulSet comes or goes next. Pure.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    pub name: &'a str,
    /// Of the newest revision.
    pub updated: bool,
    /// Ready, and not going.
    pub healthy: bool,
    /// Healthy for long enough.
    pub available: bool,
    pub going: bool,
    pub finished: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Situation<'a> {
    /// The numbers that are to be there.
    pub wanted: BTreeSet<i64>,
    pub pods: BTreeMap<i64, Seen<'a>>,
    /// One after the other, each when those before it are there; else all at once.
    pub ordered: bool,
    /// Lower numbers keep the revision they have.
    pub partition: i64,
    /// Old pods are replaced, from the highest number down; else they stay.
    pub rolling: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Of the newest revision, or of the one before it.
    Make {
        number: i64,
        old: bool,
    },
    Delete(String),
}

pub(super) fn decide(seen: &Situation<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for number in &seen.wanted {
        let settled = match seen.pods.get(number) {
            None => {
                let old = seen.rolling && *number < seen.partition;
                changes.push(Change::Make { number: *number, old });
                false
            }
            Some(pod) if pod.finished && !pod.going => {
                changes.push(Change::Delete(pod.name.to_owned()));
                false
            }
            Some(pod) => pod.available,
        };
        if !settled && seen.ordered {
            return changes;
        }
    }
    changes.extend(shrink(seen));
    if changes.is_empty() && seen.rolling {
        changes.extend(replace(seen));
    }
    changes
}

/// Pods beyond those wanted, from the highest number down.
fn shrink(seen: &Situation<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (_, pod) in seen.pods.iter().rev().filter(|(number, _)| !seen.wanted.contains(number)) {
        if !pod.going {
            changes.push(Change::Delete(pod.name.to_owned()));
        }
        if seen.ordered {
            break;
        }
    }
    changes
}

/// The next old pod, when all above it are back.
fn replace(seen: &Situation<'_>) -> Option<Change> {
    for number in seen.wanted.range(seen.partition..).rev() {
        let pod = seen.pods.get(number)?;
        if !pod.updated && !pod.going {
            return Some(Change::Delete(pod.name.to_owned()));
        }
        if !pod.available {
            return None;
        }
    }
    None
}
