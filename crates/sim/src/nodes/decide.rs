//! How many nodes a group gets and loses. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

#[derive(Clone, Debug)]
pub(super) struct Observed<'a> {
    pub now: Timestamp,
    pub group: &'a str,
    /// Nodes wanted, within the group's bounds.
    pub desired: usize,
    pub nodes: &'a [NodeSeen],
    pub out_of_stock: bool,
    /// How long a node takes to come.
    pub delay: Duration,
    /// When more nodes than there are were first wanted.
    pub short_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeSeen {
    pub name: String,
    pub ready: bool,
    /// Annotated for deletion.
    pub given_up: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Given-up nodes first go, then new ones come.
    pub delete: Vec<String>,
    pub create: Vec<String>,
    pub short_since: Option<Timestamp>,
    /// When nodes that were asked for are due.
    pub recheck_after: Option<Duration>,
}

/// Never deletes a node that is not given up, and none while no more are there than wanted.
pub(super) fn decide(seen: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let surplus = seen.nodes.len().saturating_sub(seen.desired);
    let given_up = seen.nodes.iter().filter(|it| it.given_up);
    plan.delete = given_up.take(surplus).map(|it| it.name.clone()).collect();
    let missing = seen.desired.saturating_sub(seen.nodes.len());
    if missing == 0 || seen.out_of_stock {
        return plan;
    }
    let since = seen.short_since.unwrap_or(seen.now);
    let delay = SignedDuration::try_from(seen.delay).unwrap_or(SignedDuration::MAX);
    let left = delay - seen.now.duration_since(since);
    plan.short_since = Some(since);
    if left.is_positive() {
        plan.recheck_after = Duration::try_from(left).ok();
        return plan;
    }
    plan.short_since = None;
    let taken: BTreeSet<&str> = seen.nodes.iter().map(|it| it.name.as_str()).collect();
    let names = (1..).map(|n| format!("{}-{n}", seen.group));
    plan.create = names.filter(|it| !taken.contains(it.as_str())).take(missing).collect();
    plan
}
