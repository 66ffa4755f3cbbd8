use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::time::Duration;

use super::decide::{NodeSeen, Observed, Plan, decide};

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn node(name: &str, given_up: bool) -> NodeSeen {
    NodeSeen { name: name.to_owned(), ready: true, given_up }
}

fn seen(desired: usize, nodes: &[NodeSeen]) -> Observed<'_> {
    Observed {
        now: NOON,
        group: "g",
        desired,
        nodes,
        out_of_stock: false,
        delay: Duration::ZERO,
        short_since: None,
    }
}

#[test]
fn missing_nodes_take_the_lowest_free_names() {
    let nodes = [node("g-2", false)];
    assert_eq!(decide(&seen(3, &nodes)).create, ["g-1", "g-3"]);
}

#[test]
fn only_given_up_nodes_go_and_only_the_surplus() {
    let nodes = [node("g-1", false), node("g-2", true), node("g-3", true)];
    assert_eq!(decide(&seen(2, &nodes)).delete, ["g-2"]);
    assert_eq!(decide(&seen(0, &nodes)).delete, ["g-2", "g-3"]);
    assert_eq!(decide(&seen(3, &nodes)), Plan::default());
}

#[test]
fn a_group_out_of_stock_gives_none() {
    assert_eq!(decide(&Observed { out_of_stock: true, ..seen(3, &[]) }), Plan::default());
}

#[test]
fn slow_nodes_come_when_they_are_due() {
    let slow = Observed { delay: Duration::from_secs(5), ..seen(1, &[]) };
    let plan = decide(&slow);
    assert_eq!(plan.recheck_after, Some(Duration::from_secs(5)));
    assert!(plan.create.is_empty());
    let due = Observed {
        now: NOON + SignedDuration::from_secs(5),
        short_since: plan.short_since,
        ..slow
    };
    assert_eq!(decide(&due).create, ["g-1"]);
}

proptest! {
    #[test]
    fn a_plan_settles_in_one_round(desired in 0_usize..8, ups in prop::collection::vec(any::<bool>(), 0..8)) {
        let mut nodes: Vec<NodeSeen> =
            ups.iter().enumerate().map(|(at, up)| node(&format!("g-{at}"), *up)).collect();
        let plan = decide(&seen(desired, &nodes));
        nodes.retain(|it| !plan.delete.contains(&it.name));
        nodes.extend(plan.create.iter().map(|it| node(it, false)));
        prop_assert_eq!(decide(&seen(desired, &nodes)), Plan::default());
    }
}
