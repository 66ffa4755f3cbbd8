//! What becomes of the place that a template left.

use super::fleet::{Fleet, Standing};
use super::moves::Placed;
use super::{Millis, Settings};
use crate::policy::PurgeMode;

/// A template was moved off a cluster, or is being moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub from: String,
    pub since: Millis,
    /// As it was when it began; what the policy says now goes before it.
    pub purge: PurgeMode,
    pub grace: Option<Millis>,
    /// The old place is no longer kept.
    pub purged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The old place goes, now or when its cluster is back.
    Purge,
    /// The template may be placed there again.
    End,
}

/// What is to be done about a task, and when to look again if that is only a matter of time.
pub(super) fn change(
    now: Millis,
    placed: &Placed,
    task: &Task,
    fleet: &Fleet,
    settings: &Settings,
) -> (Option<Change>, Option<Millis>) {
    let member = fleet.members.get(&task.from);
    if placed.clusters.contains(&task.from) {
        // It has not left yet. Without a reason to leave any more it stays.
        let evicts = |it: &super::Timed| it.taint.effect == "NoExecute";
        let must_leave = member.is_some_and(|it| it.taints.iter().any(evicts));
        return ((!must_leave).then_some(Change::End), None);
    }
    let Some(member) = member else { return (Some(Change::End), None) };
    let behaviour = placed.behaviour.as_ref();
    let mode = behaviour.and_then(|it| it.purge_mode).unwrap_or(task.purge);
    if !task.purged {
        let grace =
            behaviour.and_then(|it| it.grace_period_seconds).map(|it| i64::from(it) * 1_000);
        let over = task.since + grace.or(task.grace).unwrap_or(settings.grace);
        return match mode {
            PurgeMode::Directly => (Some(Change::Purge), None),
            PurgeMode::Gracefully if placed.healthy || over <= now => (Some(Change::Purge), None),
            PurgeMode::Gracefully => (None, Some(over)),
            PurgeMode::Never => (None, None),
        };
    }
    // Claims that stayed there hold its data: they are kept, whatever moved.
    let Standing::Well { since } = member.standing else { return (None, None) };
    if placed.keeps_data {
        return (None, None);
    }
    let settled = since + settings.settle;
    if settled <= now { (Some(Change::End), None) } else { (None, Some(settled)) }
}
