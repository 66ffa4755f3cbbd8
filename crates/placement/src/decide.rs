//! The whole decision about one template, with a reason for every cluster that is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::cluster::Cluster;
pub use crate::divide::Mode;
use crate::divide::{by_room, by_weight};
use crate::filter::{LeftOut, filter, matches};
use crate::policy::{ClusterAffinity, Placement, StaticWeight, Strategy};
use crate::select::Template;
use crate::spread::{Candidate, TooFew, select, sort};
use crate::webster::Tie;

/// All that a decision may know.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub template: &'a Template<'a>,
    pub placement: &'a Placement,
    pub clusters: &'a [Cluster],
    /// Replicas of this template that a cluster can take beside those that it has; `u32::MAX`
    /// where that is not known.
    pub room: &'a dyn Fn(&Cluster) -> u32,
    /// What was decided last, by cluster.
    pub previous: &'a BTreeMap<String, u32>,
    /// The group of `clusterAffinities` in use: earlier ones are not gone back to, but when fresh.
    pub previous_group: Option<&'a str>,
    pub mode: Mode,
    /// Clusters that failed and that the template was moved off, and why.
    pub left: &'a BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// By name. On failure: what may stay as it is.
    pub targets: Vec<Target>,
    /// The group of `clusterAffinities` that was used.
    pub group: Option<String>,
    pub left_out: BTreeMap<String, LeftOut>,
    pub reason: Reason,
    /// For the condition `Scheduled`.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// `None` for what has no replicas.
    pub replicas: Option<u32>,
}

/// Reason of the condition `Scheduled`, as Karmada's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Success,
    NoClusterFit,
    Unschedulable,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::NoClusterFit => "NoClusterFit",
            Self::Unschedulable => "Unschedulable",
        }
    }
}

/// Decides by the first group of clusters that fits; if none does, the last one tells why.
pub fn decide(request: &Request<'_>) -> Decision {
    let groups = &request.placement.cluster_affinities;
    if groups.is_empty() {
        return decide_in(request, request.placement.cluster_affinity.as_ref());
    }
    let in_use = request.previous_group.filter(|_| request.mode == Mode::Steady);
    let first = in_use.and_then(|name| groups.iter().position(|it| it.affinity_name == name));
    let mut failed = None;
    for group in &groups[first.unwrap_or(0)..] {
        let mut decision = decide_in(request, Some(&group.affinity));
        decision.group = Some(group.affinity_name.clone());
        if decision.reason == Reason::Success {
            return decision;
        }
        failed = Some(decision);
    }
    failed.expect("there is at least one group from the first one on")
}

fn decide_in(request: &Request<'_>, affinity: Option<&ClusterAffinity>) -> Decision {
    let (mut candidates, mut left_out) = candidates(request, affinity);
    if candidates.is_empty() {
        return failed(request, Reason::NoClusterFit, left_out, &[], "");
    }
    sort(&mut candidates);
    let strategy = request.placement.strategy();
    let divided = strategy != Strategy::Duplicated && request.template.replicas.is_some();
    let needed = request.template.replicas.filter(|_| divided).map(u64::from);
    // Fixed weights look at neither room nor spread.
    let chosen = match strategy {
        Strategy::Static(_) if divided => Ok(candidates.clone()),
        _ => select(&request.placement.spread_constraints, &candidates, needed),
    };
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(TooFew::Clusters { want, have }) => {
            let why = format!("the spread constraint wants {want} clusters, {have} are available");
            return failed(request, Reason::NoClusterFit, left_out, &candidates, &why);
        }
        Err(TooFew::Room { want, have }) => {
            let why = format!("{want} replicas do not fit: the clusters can hold {have}");
            return failed(request, Reason::Unschedulable, left_out, &candidates, &why);
        }
    };
    let kept: BTreeSet<&str> = chosen.iter().map(|it| it.name).collect();
    for it in candidates.iter().filter(|it| !kept.contains(it.name)) {
        left_out.insert(it.name.to_owned(), LeftOut::SpreadEnough);
    }
    match divide(request, strategy, &chosen, &mut left_out) {
        Ok(targets) => succeeded(request, targets, left_out),
        Err(why) => failed(request, Reason::Unschedulable, left_out, &candidates, &why),
    }
}

/// The clusters that pass the filters, and why the others do not.
fn candidates<'a>(
    request: &Request<'a>,
    affinity: Option<&ClusterAffinity>,
) -> (Vec<Candidate<'a>>, BTreeMap<String, LeftOut>) {
    let mut candidates = Vec::new();
    let mut left_out = BTreeMap::new();
    let most = request.template.replicas.unwrap_or(0);
    for cluster in request.clusters {
        if let Some(why) = request.left.get(&cluster.name) {
            left_out.insert(cluster.name.clone(), LeftOut::MovedOff(why.clone()));
            continue;
        }
        let has = request.previous.get(&cluster.name).map(|it| u64::from(*it));
        let tolerations = &request.placement.cluster_tolerations;
        if let Some(why) = filter(request.template, affinity, tolerations, cluster, has.is_some()) {
            left_out.insert(cluster.name.clone(), why);
            continue;
        }
        // What is not known is no reason to prefer a cluster: it counts as just enough.
        let room = match (request.room)(cluster) {
            // It keeps what it has while it is silent, and gets no more.
            _ if !cluster.ready => 0,
            u32::MAX => most,
            room => room,
        };
        candidates.push(Candidate { name: &cluster.name, room: u64::from(room), has });
    }
    (candidates, left_out)
}

fn divide(
    request: &Request<'_>,
    strategy: Strategy<'_>,
    chosen: &[Candidate<'_>],
    left_out: &mut BTreeMap<String, LeftOut>,
) -> Result<Vec<Target>, String> {
    let replicas = request.template.replicas;
    let Some(wanted) = replicas.filter(|it| 0 < *it && strategy != Strategy::Duplicated) else {
        return Ok(alike(request, strategy, chosen));
    };
    let tie = Tie::of(request.template.uid);
    let assigned = if let Strategy::Static(weights) = strategy {
        by_weight(u64::from(wanted), &weigh(weights, request.clusters, chosen), tie)
    } else {
        let aggregated = strategy == Strategy::Aggregated;
        by_room(u64::from(wanted), chosen, aggregated, request.mode, tie).map_err(|it| {
            let (more, room) = (it.wanted, it.room);
            format!("{more} more replicas do not fit: the clusters have room for {room}")
        })?
    };
    for it in chosen.iter().filter(|it| !assigned.contains_key(it.name)) {
        let why = match strategy {
            Strategy::Static(_) => LeftOut::NoWeight,
            _ if it.room == 0 => LeftOut::NoRoom,
            _ => LeftOut::NoShare,
        };
        left_out.insert(it.name.to_owned(), why);
    }
    let target = |(name, n)| Target { name, replicas: u32::try_from(n).ok() };
    Ok(assigned.into_iter().map(target).collect())
}

/// The same for each: all replicas, or none to speak of. What is scaled to zero stays where it is.
fn alike(request: &Request<'_>, strategy: Strategy<'_>, chosen: &[Candidate<'_>]) -> Vec<Target> {
    let has_it = chosen.iter().any(|it| it.has.is_some());
    let scaled_to_zero = request.template.replicas == Some(0) && strategy != Strategy::Duplicated;
    let mut targets: Vec<Target> = chosen
        .iter()
        .filter(|it| !scaled_to_zero || !has_it || it.has.is_some())
        .map(|it| Target { name: it.name.to_owned(), replicas: request.template.replicas })
        .collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    targets
}

/// The largest weight of the rules that name a cluster.
fn weigh<'a>(
    rules: &[StaticWeight],
    clusters: &[Cluster],
    chosen: &[Candidate<'a>],
) -> Vec<(&'a str, u64)> {
    if rules.is_empty() {
        return chosen.iter().map(|it| (it.name, 1)).collect();
    }
    let by_name: BTreeMap<&str, &Cluster> =
        clusters.iter().map(|it| (it.name.as_str(), it)).collect();
    let weight = |name: &str| {
        let cluster = by_name.get(name)?;
        let named = rules.iter().filter(|it| matches(&it.target_cluster, cluster));
        named.map(|it| u64::from(it.weight)).max()
    };
    chosen.iter().map(|it| (it.name, weight(it.name).unwrap_or(0))).collect()
}

fn succeeded(
    request: &Request<'_>,
    targets: Vec<Target>,
    mut left_out: BTreeMap<String, LeftOut>,
) -> Decision {
    for target in &targets {
        left_out.remove(&target.name);
    }
    let said = targets.iter().map(|it| match it.replicas {
        Some(replicas) => format!("{} {replicas}", it.name),
        None => it.name.clone(),
    });
    let said = said.collect::<Vec<_>>().join(", ");
    let message =
        format!("placed on {} of {} clusters: {said}", targets.len(), request.clusters.len());
    Decision { targets, group: None, left_out, reason: Reason::Success, message }
}

/// Nothing new is placed. What runs on clusters that may still have it stays as it is: no room for
/// more is no reason to take away what is there.
fn failed(
    request: &Request<'_>,
    reason: Reason,
    left_out: BTreeMap<String, LeftOut>,
    candidates: &[Candidate<'_>],
    why: &str,
) -> Decision {
    let kept = |it: &Candidate<'_>| {
        let had = *request.previous.get(it.name)?;
        let replicas = request.template.replicas.map(|_| had);
        Some(Target { name: it.name.to_owned(), replicas })
    };
    let mut targets: Vec<Target> = candidates.iter().filter_map(kept).collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    let message = summary(request.clusters.len(), candidates.len(), &left_out, why);
    Decision { targets, group: None, left_out, reason, message }
}

/// `0/3 clusters are available: 2 did not match the cluster affinity, 1 not ready`
fn summary(all: usize, fit: usize, left_out: &BTreeMap<String, LeftOut>, why: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for it in left_out.values() {
        *counts.entry(it.in_short()).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(said, n)| (std::cmp::Reverse(*n), *said));
    let mut parts: Vec<String> = counts.iter().map(|(said, n)| format!("{n} {said}")).collect();
    if !why.is_empty() {
        parts.insert(0, why.to_owned());
    }
    let mut message = format!("{fit}/{all} clusters are available");
    if !parts.is_empty() {
        let _ = write!(message, ": {}", parts.join(", "));
    }
    message
}

#[cfg(test)]
mod tests;
