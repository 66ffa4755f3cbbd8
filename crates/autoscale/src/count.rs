//! Which nodes and pods count, and how much room there is.

use crate::plan::{DELETE_ANNOTATION, DRAINING_ANNOTATION, GROUP_LABEL, Group, Observed};
use kogge_model::{Labels, Node, Phase, Pod, ResourceName, Resources, add_aliases};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The least that the average pod is taken to ask for.
const LEAST: (i64, i64) = (100, 128 << 20);

/// The part of the cluster that the rule is about.
pub(crate) struct Counted {
    /// Ready and coming nodes that are meant and stay.
    pub nodes: Vec<Node>,
    /// Pods that wait or run on those nodes, other than of DaemonSets.
    pub pods: usize,
    /// What the average pod asks for.
    pub average: Resources,
    /// Nodes that their group has given up already.
    pub going: usize,
}

pub(crate) fn count(o: &Observed) -> Counted {
    let meant = |n: &&Node| !n.control_plane && selects(&o.spec.node_selector, n);
    let here = o.nodes.iter().filter(|n| n.ready).chain(&o.coming).filter(meant);
    let (gone, nodes): (Vec<Node>, Vec<Node>) = here.cloned().partition(|n| is_going(o, n));
    let names: BTreeSet<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
    let bound = |p: &Pod| p.node.as_ref().is_some_and(|n| names.contains(n.as_str()));
    let (mut pods, mut sum) = (0, Resources::default());
    for p in o.pods.iter().filter(|p| p.phase != Phase::Finished && !p.daemon()) {
        if p.pending() || bound(p) {
            pods += 1;
            sum.add(&p.spec.requests);
        }
    }
    let share = |all: i64, least: i64| (all / i64::try_from(pods.max(1)).unwrap_or(1)).max(least);
    let mut average = Resources::new(share(sum.milli_cpu(), LEAST.0), share(sum.memory(), LEAST.1));
    average.set(&ResourceName::Pods, 1);
    Counted { pods, average, going: gone.len(), nodes }
}

/// Whether the node is marked and its group has let go of it: it is only a matter of time.
pub(crate) fn is_going(o: &Observed, node: &Node) -> bool {
    node.annotations.get(DELETE_ANNOTATION).is_some_and(|v| v == "true")
        && group_of(o, node).is_some_and(|g| registered(o, &g.name) > g.target)
}

fn registered(o: &Observed, group: &str) -> usize {
    o.nodes.iter().filter(|n| n.labels.get(GROUP_LABEL).is_some_and(|g| g == group)).count()
}

pub(crate) fn group_of<'a>(o: &'a Observed, node: &Node) -> Option<&'a Group> {
    let name = node.labels.get(GROUP_LABEL)?;
    o.groups.iter().find(|g| g.name == *name)
}

/// Whether this rule is emptying the node.
pub fn is_draining(node: &Node) -> bool {
    node.annotations.contains_key(DRAINING_ANNOTATION)
}

/// How many pods that ask for `average` the nodes take in all, other pods aside.
pub(crate) fn total_room<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    average: &Resources,
) -> usize {
    nodes.into_iter().map(|n| room_of(n, average)).fold(0, usize::saturating_add)
}

/// How many such pods one node takes.
pub(crate) fn room_of(node: &Node, average: &Resources) -> usize {
    let mut all = node.allocatable.clone();
    if all.get(&ResourceName::Pods) == 0 {
        // A template need not say how many pods it takes: then it does not matter.
        all.set(&ResourceName::Pods, i64::MAX);
    }
    usize::try_from(all.fits(average)).unwrap_or(0)
}

/// The pods that wait for a node and may get one.
pub(crate) fn pending(o: &Observed) -> impl Iterator<Item = &Arc<Pod>> {
    o.pods.iter().filter(|p| p.pending() && !p.daemon())
}

/// Whether a node has all of these labels, well-known ones under either name.
pub fn selects(selector: &Labels, node: &Node) -> bool {
    let mut labels = node.labels.clone();
    add_aliases(&mut labels);
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}
