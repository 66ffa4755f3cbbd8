//! Which way news travels between the hub and a cluster whose agent dials it. Pure.

use kogge_api::{
    Condition,
    ConditionStatus::{False, True, Unknown},
    fleet::{Cluster, SyncMode},
    set_condition,
};

use super::decide::Observed;
use crate::reports::is_silent;

/// True: the agent reaches the hub itself.
const CONNECTED: &str = "Connected";

/// Sets it where there is something to say; it is of no cluster that the hub dials.
pub(super) fn tell(conditions: &mut Vec<Condition>, seen: &Observed, cluster: &Cluster) {
    if cluster.spec.sync_mode != SyncMode::Pull {
        conditions.retain(|it| it.kind != CONNECTED);
    } else if let Some(condition) = condition(seen, cluster) {
        set_condition(conditions, condition, seen.now);
    }
}

fn condition(seen: &Observed, cluster: &Cluster) -> Option<Condition> {
    let name = &cluster.metadata.name;
    let last = seen.heard.unwrap_or(seen.since);
    if is_silent(last, seen.now) {
        let message = format!("no news came from {name} since {last:.0}");
        return Some(Condition::new(CONNECTED, Unknown, "Silent", message));
    }
    // A hub that has just started leaves what it said before.
    seen.heard?;
    let direct = || Condition::new(CONNECTED, True, "Direct", "its agent reaches the hub itself");
    let carried = |member: &String| {
        let message = format!(
            "news to and from {name} travels through {member}: its agent does not reach the hub itself"
        );
        Condition::new(CONNECTED, False, "ThroughMember", message)
    };
    Some(seen.carrier.as_ref().map_or_else(direct, carried))
}
