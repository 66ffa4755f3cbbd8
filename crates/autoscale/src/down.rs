//! Nodes to take away: which are unneeded, and the steps of emptying one.

use crate::count::{Counted, group_of, is_draining, is_going, pending, selects, total_room};
use crate::plan::{Effect, Observed, Plan};
use jiff::SignedDuration;
use kogge_model::{Node, Phase, Pod};
use kogge_scheduling::{Snapshot, choose, group, pack};
use std::cmp::Reverse;
use std::sync::Arc;

/// A node that is used more than this, in hundredths, is needed. As the upstream autoscaler's default.
const NEEDED_ABOVE: i128 = 50;

/// How long pods that do not become ready hold up the removal of the node they left.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

const SCALE_DOWN_DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";

/// Why a node stays.
type Kept = (&'static str, String);

/// Adds the next steps of taking one node away to the plan; returns how many nodes go.
pub(crate) fn down(o: &Observed, counted: &Counted, plan: &mut Plan) -> usize {
    let mut ripe = Vec::new();
    for node in &counted.nodes {
        match unneeded(o, counted, node) {
            Ok(use_of) => {
                let since = o.unneeded_since.get(&node.name).copied().unwrap_or(o.now);
                plan.unneeded_since.insert(node.name.clone(), since);
                // One that is draining is finished before the next.
                if is_draining(node) || o.spec.unneeded_time <= o.now.duration_since(since) {
                    ripe.push((!is_draining(node), use_of, node));
                }
            }
            Err(why) => plan.reasons.push(why),
        }
    }
    ripe.sort_by_key(|(fresh, use_of, node)| (*fresh, *use_of, &node.name));
    match ripe.first() {
        Some((_, _, node)) if counted.going == 0 => take_away(o, node, plan),
        _ => 0,
    }
}

/// Takes away one node that is given up: it counts nowhere, and keeps a place of its group. Pods that are not on their
/// way out may run on without being heard of, so it waits for these.
pub(crate) fn clear(o: &Observed, plan: &mut Plan) {
    let is_empty = |n: &Node| movable(o, n).iter().all(|p| p.deleting);
    let meant = |n: &&Node| {
        !n.control_plane
            && !n.ready
            && o.given_up.contains(&n.name)
            && selects(&o.spec.node_selector, n)
            && !is_going(o, n)
            && is_empty(n)
    };
    let free = |n: &Node| group_of(o, n).filter(|g| g.min < g.target).map(|g| (g, n.name.clone()));
    if let Some((group, node)) = o.nodes.iter().filter(meant).find_map(free) {
        plan.reasons.push(("NodeLost", format!("{node} is not ready any more and is given up")));
        plan.effects.push(Effect::RemoveNode {
            group: group.name.clone(),
            node,
            to: group.target - 1,
        });
    }
}

/// How much of the node is used, in hundredths, if the cluster does without it.
pub(crate) fn unneeded(o: &Observed, counted: &Counted, node: &Node) -> Result<i128, Kept> {
    let kept = |why: &'static str, text: String| Err((why, format!("{} stays: {text}", node.name)));
    let Some(group_of_node) = group_of(o, node) else {
        return kept("NoNodeGroup", "it is of no node group".to_owned());
    };
    if group_of_node.target <= group_of_node.min {
        return kept("MinSizeReached", format!("{} has its fewest nodes", group_of_node.name));
    }
    let stay = || counted.nodes.iter().filter(|n| n.name != node.name);
    if stay().count() < o.spec.min_available {
        return kept("MinAvailableReached", "minAvailable nodes are left".to_owned());
    }
    if total_room(stay(), &counted.average) < o.spec.min_pods {
        return kept("MinPodsRoom", "the room for minPods pods would be lost".to_owned());
    }
    if node.annotations.get(SCALE_DOWN_DISABLED).is_some_and(|v| v == "true") {
        return kept("ScaleDownDisabled", format!("it has the annotation {SCALE_DOWN_DISABLED}"));
    }
    let here = movable(o, node);
    let fixed = |p: &&&Arc<Pod>| p.owner.is_none() || p.safe_to_evict == Some(false);
    if let Some(pod) = here.iter().find(fixed) {
        let text = format!("nothing would make {}/{} anew", pod.namespace, pod.name);
        return kept("NotSafeToEvict", text);
    }
    let use_of = used(node, &here);
    if use_of > NEEDED_ABOVE && !is_draining(node) {
        return kept("Needed", format!("more than {NEEDED_ABOVE} % of it is used"));
    }
    if !fit_elsewhere(o, counted, node, &here) {
        return kept("NoPlaceToMovePods", "its pods fit nowhere else".to_owned());
    }
    Ok(use_of)
}

/// Whether every pod that has a place, or could have one, has one without the node.
///
/// Those that would move are placed one at a time, as the scheduler will place them when they are evicted: a packing
/// that the scheduler does not find would empty the node and buy another.
fn fit_elsewhere(o: &Observed, counted: &Counted, node: &Node, here: &[&Arc<Pod>]) -> bool {
    let whole = |name: Option<&str>| {
        let stay = counted.nodes.iter().filter(|n| Some(n.name.as_str()) != name).cloned();
        // What is draining takes pods as soon as it comes back.
        let open =
            stay.map(|n| Node { unschedulable: n.unschedulable && n.name != node.name, ..n });
        Snapshot::new(open.collect(), &o.pods)
    };
    let waiting = group(pending(o));
    let without = pack(&waiting, whole(Some(&node.name)), None, 0);
    if without.placed < pack(&waiting, whole(None), None, 0).placed {
        return false;
    }
    let mut snapshot = without.snapshot;
    here.iter().all(|pod| {
        let at = choose(pod, &snapshot);
        at.inspect(|at| snapshot.bind(*at, (*pod).clone())).is_some()
    })
}

/// Pods that an eviction would move, the hardest to place first. Those of DaemonSets and of the kubelet go with the node.
fn movable<'a>(o: &'a Observed, node: &Node) -> Vec<&'a Arc<Pod>> {
    let moves = |p: &&Arc<Pod>| {
        p.node.as_ref() == Some(&node.name)
            && p.phase != Phase::Finished
            && !p.daemon()
            && !p.mirror
    };
    let mut pods: Vec<_> = o.pods.iter().filter(moves).collect();
    pods.sort_by_key(|p| (Reverse(used(node, &[p])), &p.namespace, &p.name));
    pods
}

fn used(node: &Node, pods: &[&Arc<Pod>]) -> i128 {
    let hundredths = |of: i64, ask: &dyn Fn(&Pod) -> i64| {
        let sum: i128 = pods.iter().map(|p| i128::from(ask(p))).sum();
        sum * 100 / i128::from(of.max(1))
    };
    hundredths(node.allocatable.milli_cpu(), &|p| p.spec.requests.milli_cpu())
        .max(hundredths(node.allocatable.memory(), &|p| p.spec.requests.memory()))
}

/// The next steps for one node, all that can be taken now.
fn take_away(o: &Observed, node: &Node, plan: &mut Plan) -> usize {
    let Some(group) = group_of(o, node) else { return 0 };
    if !(is_draining(node) && node.unschedulable) {
        plan.effects.push(Effect::Cordon(node.name.clone()));
        plan.reasons.push(("ScaleDown", format!("{} is not needed and is drained", node.name)));
    }
    let left = movable(o, node);
    if !left.is_empty() {
        let stay = left.into_iter().filter(|p| !p.deleting);
        plan.effects.extend(stay.cloned().map(Effect::Evict));
        return 1;
    }
    let since = plan.unneeded_since.get(&node.name).copied().unwrap_or(o.now);
    let patient = o.now.duration_since(since) < o.spec.unneeded_time.saturating_add(PATIENCE);
    let unsettled = |p: &&Arc<Pod>| p.phase != Phase::Finished && !p.daemon() && !p.ready;
    match o.pods.iter().find(unsettled).filter(|_| patient && is_draining(node)) {
        Some(pod) => {
            let text = format!("{}/{} is not ready yet", pod.namespace, pod.name);
            plan.reasons.push(("WaitingForPods", text));
        }
        None => plan.effects.push(Effect::RemoveNode {
            group: group.name.clone(),
            node: node.name.clone(),
            to: group.target - 1,
        }),
    }
    1
}
