//! Which way news travels between the hub and a cluster whose agent dials it. Pure.

use kogge_api::{
    Condition,
    ConditionStatus::{False, True, Unknown},
    fleet::{Cluster, SyncMode},
};

use super::decide::Observed;
use crate::reports::is_silent;

/// True: the agent reaches the hub itself.
const CONNECTED: &str = "Connected";

pub(super) fn condition(seen: &Observed, cluster: &Cluster) -> Option<Condition> {
    let heard = seen.heard.filter(|_| cluster.spec.sync_mode == SyncMode::Pull)?;
    let name = &cluster.metadata.name;
    if is_silent(heard, seen.now) {
        let message = format!("no news came from {name} since {heard:.0}");
        return Some(Condition::new(CONNECTED, Unknown, "Silent", message));
    }
    let direct = || Condition::new(CONNECTED, True, "Direct", "its agent reaches the hub itself");
    let carried = |member: &String| {
        let message = format!(
            "news to and from {name} travels through {member}: its agent does not reach the hub itself"
        );
        Condition::new(CONNECTED, False, "ThroughMember", message)
    };
    Some(seen.carrier.as_ref().map_or_else(direct, carried))
}
