//! Nodes to add: for the minimum, for the room of `minPods`, for pods that wait.

use crate::count::{Counted, pending, room_of, selects, total_room};
use crate::plan::{Effect, Group, Observed, Plan};
use kogge_model::Pod;
use kogge_scheduling::{Group as Alike, Snapshot, group, pack};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Adds what is missing to the plan, the cheapest group first; returns how many nodes.
pub(crate) fn up(o: &Observed, counted: &Counted, plan: &mut Plan) -> usize {
    let current = counted.nodes.len();
    let mut room = o.spec.max_available.map_or(usize::MAX, |max| max.saturating_sub(current));
    let mut nodes_lacking = o.spec.min_available.saturating_sub(current);
    let mut pods_lacking =
        o.spec.min_pods.saturating_sub(total_room(&counted.nodes, &counted.average));
    let over = o.spec.max_pods.filter(|max| counted.pods > *max);
    if let Some(max) = over {
        // No count: the same words while it lasts are one event.
        plan.reasons.push((
            "MaxPodsReached",
            format!("there are more pods than maxPods {max}: pending ones get no nodes"),
        ));
    }
    let waiting = if over.is_some() { Vec::new() } else { group(pending(o)) };
    let snapshot = Snapshot::new(counted.nodes.clone(), &o.pods);
    let mut packed = pack(&waiting, snapshot, None, 0);
    let mut added = 0;
    for g in open(o) {
        let limit = g.max.saturating_sub(g.target).min(room);
        packed = pack(&packed.left, packed.snapshot, Some(&g.template), limit);
        let each = room_of(&g.template, &counted.average);
        let for_pods = if each == 0 { 0 } else { pods_lacking.div_ceil(each) };
        let by = packed.nodes.max(nodes_lacking).max(for_pods).min(limit);
        if by > 0 {
            plan.effects.push(Effect::IncreaseGroup { group: g.name.clone(), to: g.target + by });
            plan.reasons.push(("TriggeredScaleUp", format!("{} grows by {by}", g.name)));
        }
        added += by;
        room -= by;
        nodes_lacking = nodes_lacking.saturating_sub(by);
        pods_lacking = pods_lacking.saturating_sub(by.saturating_mul(each));
    }
    if 0 < nodes_lacking {
        let fewest = o.spec.min_available;
        let text = format!("minAvailable {fewest} is not reached: {}", what_binds(o, room));
        plan.reasons.push(("MinAvailableNotReached", text));
    }
    plan.served = if over.is_some() { Vec::new() } else { served(o, &packed.left) };
    for left in &packed.left {
        let pod = &left.pod;
        let what = match &pod.owner {
            Some(owner) => format!("pods of {} {}/{}", owner.kind, pod.namespace, owner.name),
            None => format!("pod {}/{}", pod.namespace, pod.name),
        };
        let text = format!("{what}: no node that may be added takes them");
        plan.reasons.push(("NotTriggerScaleUp", text));
    }
    added
}

/// The pods that wait without those left over; of pods that are alike the first are served.
fn served(o: &Observed, left: &[Alike]) -> Vec<Arc<Pod>> {
    let mut over: Vec<(&Pod, usize)> = left.iter().map(|it| (&*it.pod, it.count)).collect();
    let all: Vec<&Arc<Pod>> = pending(o).collect();
    let mut is_left = |pod: &Pod| {
        let alike = |it: &&mut (&Pod, usize)| {
            let (a, b) = (it.0, pod);
            0 < it.1
                && (&a.namespace, &a.owner, &a.labels, &a.spec)
                    == (&b.namespace, &b.owner, &b.labels, &b.spec)
        };
        over.iter_mut().find(alike).map(|it| it.1 -= 1).is_some()
    };
    all.into_iter().rev().filter(|pod| !is_left(pod)).cloned().collect()
}

/// Groups that may give nodes of the right kind, the cheapest first.
fn open(o: &Observed) -> Vec<&Group> {
    let mut open: Vec<&Group> = meant(o).filter(|g| !g.backoff).collect();
    open.sort_by_key(|g| (g.price, &g.name));
    open
}

/// Groups whose nodes are of the right kind.
fn meant(o: &Observed) -> impl Iterator<Item = &Group> {
    o.groups.iter().filter(|g| selects(&o.spec.node_selector, &g.template))
}

/// Why no more nodes are added, in words that stay the same while it lasts.
fn what_binds(o: &Observed, room: usize) -> String {
    if let (0, Some(most)) = (room, o.spec.max_available) {
        return format!("maxAvailable is {most}");
    }
    if o.groups.is_empty() {
        return "the cluster has no node group".to_owned();
    }
    let of = |g: &Group| {
        if g.backoff {
            return format!("{} gives no nodes for now", g.name);
        }
        format!("{} may have no more than {}", g.name, g.max)
    };
    let groups: BTreeSet<String> = meant(o).map(of).collect();
    if groups.is_empty() {
        return "no node group has nodes that nodeSelector selects".to_owned();
    }
    groups.into_iter().collect::<Vec<_>>().join(", ")
}
