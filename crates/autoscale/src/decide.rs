//! The plan for one cluster.

use crate::count::{count, is_draining};
use crate::down::{down, unneeded};
use crate::plan::{Effect, Observed, Plan, Status};
use crate::up::up;

/// The plan for one cluster: the same for the same input.
pub fn decide(o: &Observed) -> Plan {
    let mut plan = Plan::default();
    let mut counted = count(o);
    // A node that is needed again takes pods at once, before any is bought.
    let mut back = Vec::new();
    for node in counted.nodes.iter().filter(|n| is_draining(n)) {
        if !o.spec.scale_down || unneeded(o, &counted, node).is_err() {
            back.push(node.name.clone());
        }
    }
    for node in counted.nodes.iter_mut().filter(|n| back.contains(&n.name)) {
        node.unschedulable = false;
        node.annotations.remove(crate::DRAINING_ANNOTATION);
        plan.reasons.push(("ScaleDownCancelled", format!("{} is needed again", node.name)));
        plan.effects.push(Effect::Uncordon(node.name.clone()));
    }
    let added = up(o, &counted, &mut plan);
    let quiet = added == 0 && o.coming.is_empty() && back.is_empty();
    let taken = if quiet && o.spec.scale_down { down(o, &counted, &mut plan) } else { 0 };
    let current = counted.nodes.len();
    plan.status = Status {
        current_node_count: current,
        desired_scale_up_count: added,
        desired_scale_down_count: taken,
        new_node_count: current + added - taken,
    };
    plan
}
