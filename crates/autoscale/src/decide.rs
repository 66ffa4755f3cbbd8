//! The plan for one cluster.

use crate::count::{count, is_draining};
use crate::down::{clear, down, unneeded};
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
    let current = counted.nodes.len();
    if let Some(most) = o.spec.max_available.filter(|most| *most < current) {
        plan.reasons.push(("AboveMaxAvailable", above(o, current - most, most)));
    }
    let added = up(o, &counted, &mut plan);
    let quiet = added == 0 && o.coming.is_empty() && back.is_empty();
    let taken = if quiet && o.spec.scale_down { down(o, &counted, &mut plan) } else { 0 };
    if quiet && taken == 0 && o.spec.scale_down {
        clear(o, &mut plan);
    }
    plan.status = Status {
        current_node_count: current,
        desired_scale_up_count: added,
        desired_scale_down_count: taken,
        new_node_count: current + added - taken,
    };
    plan
}

/// The bound stops growth; it is no reason to take nodes from pods that need them.
fn above(o: &Observed, surplus: usize, most: usize) -> String {
    let (s, they) = if surplus == 1 { (" is", "it goes") } else { ("s are", "they go") };
    let until = if o.spec.scale_down {
        format!("{they} only when not needed")
    } else {
        "none goes while scaleDownUnneededWorkloads is false".to_owned()
    };
    format!("{surplus} node{s} more than maxAvailable {most}: {until}")
}
