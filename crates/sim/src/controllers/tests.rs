use proptest::prelude::*;
use serde_json::{Value, json};

use super::deployment::rollout;

fn deployment(replicas: i64, surge: i64, unavailable: i64) -> Value {
    json!({"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}})
}

fn set(replicas: i64, available: i64) -> Value {
    json!({"spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": available}})
}

/// Plays steps in which every pod becomes available, until nothing changes.
fn settle(deployment: &Value, mut new: i64, mut old: i64) -> (i64, i64, u32) {
    for step in 0..200 {
        let (new_set, old_set) = (set(new, new), set(old, old));
        let plan = rollout(deployment, Some(&new_set), &[&old_set]);
        if plan.new == new && plan.old == [old] {
            return (new, old, step);
        }
        (new, old) = (plan.new, plan.old[0]);
    }
    (new, old, 200)
}

proptest! {
    #[test]
    fn a_rollout_keeps_its_bounds(
        wanted in 0_i64..20, surge in 0_i64..5, unavailable in 0_i64..5,
        new in 0_i64..20, new_up in 0_i64..20, old in 0_i64..20, old_up in 0_i64..20,
    ) {
        let it = deployment(wanted, surge, unavailable);
        let (new_set, old_set) = (set(new, new_up), set(old, old_up));
        let plan = rollout(&it, Some(&new_set), &[&old_set]);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        let grows = new < plan.new;
        prop_assert!(!grows || plan.new + old <= wanted + surge);
        // A status may lag: pods that were given up already are not there to count on.
        let lost = old_up.min(old) - plan.old[0].min(old_up);
        let left = new_up.min(new) + old_up.min(old) - lost.max(0);
        prop_assert!(lost <= 0 || wanted - unavailable <= left);
    }

    #[test]
    fn a_rollout_ends(
        wanted in 0_i64..20, surge in 0_i64..5, unavailable in 0_i64..5, old in 0_i64..20,
    ) {
        let (new, old, steps) = settle(&deployment(wanted, surge, unavailable), 0, old);
        prop_assert_eq!((new, old), (wanted, 0));
        prop_assert!(steps < 200);
    }
}
