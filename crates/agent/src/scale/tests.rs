use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kogge_autoscale::{Effect, Observed, Plan, decide};
use kogge_member::{Error, Fault, watch::Seen};
use kogge_model::{Node, Pod, ResourceName};
use serde_json::{Value, json};

use super::{
    groups::{Failed, Groups, Memory, Supply, Taken, growth},
    report::{self, Told},
};
use crate::link::Report;

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn group(name: &str, desired: u32, out_of_stock: bool) -> Value {
    let status = if out_of_stock { "True" } else { "False" };
    json!({"apiVersion": "kogge.dev/v1alpha1", "kind": "NodeGroup",
        "metadata": {"name": name},
        "spec": {"provider": "simulator", "minSize": 1, "maxSize": 10, "desiredSize": desired,
            "template": {"capacity": {"cpu": "4", "memory": "16Gi"}}, "price": "0.25"},
        "status": {"conditions": [{"type": "OutOfStock", "status": status, "reason": "",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
}

fn node(name: &str, ready: &str) -> Node {
    Node::from_value(&json!({
        "metadata": {"name": name, "labels": {"kogge.dev/node-group": "g"}},
        "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
    .unwrap_or_default()
}

fn supply(group: Value, nodes: &[Node], minutes: i64, memory: &mut Memory) -> Supply {
    let mut groups = Groups::default();
    groups.put(group);
    let now = NOON + SignedDuration::from_mins(minutes);
    groups.supply(nodes, now, memory).unwrap_or_default()
}

fn names(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|it| it.name.as_str()).collect()
}

#[test]
fn nodes_asked_for_are_coming_until_they_are_ready() {
    let mut memory = Memory::default();
    let asked = supply(group("g", 3, false), &[node("g-1", "True")], 0, &mut memory);
    assert_eq!(names(&asked.coming), ["g-coming-1", "g-coming-2"]);
    let started = [node("g-1", "True"), node("g-2", "False"), node("g-3", "True")];
    let booting = supply(group("g", 3, false), &started, 1, &mut memory);
    assert_eq!(names(&booting.coming), ["g-2"]);
    assert_eq!(booting.coming[0].allocatable.milli_cpu(), 4000);
    assert!(booting.coming[0].ready);
    // One that has been ready is not new, and one that is not heard of is not starting.
    let broken = [node("g-1", "False"), node("g-2", "Unknown"), node("g-3", "True")];
    assert!(supply(group("g", 3, false), &broken, 2, &mut memory).coming.is_empty());
    assert_eq!(broken.iter().filter(|it| it.lost).count(), 1);
}

#[test]
fn what_does_not_come_is_given_up_and_not_asked_for_again_at_once() {
    let failed = |to| vec![Failed { group: "g".into(), to }];
    let here = [node("g-1", "True")];
    let mut memory = Memory::default();
    assert!(supply(group("g", 3, false), &here, 0, &mut memory).failed.is_empty());
    assert!(supply(group("g", 3, false), &here, 14, &mut memory).failed.is_empty());
    let late = supply(group("g", 3, false), &here, 15, &mut memory);
    assert_eq!((late.failed, late.coming.len()), (failed(1), 0));
    assert!(late.groups[0].backoff);
    assert_eq!(late.groups[0].target, 1);
    assert!(supply(group("g", 1, false), &here, 19, &mut memory).groups[0].backoff);
    assert!(!supply(group("g", 1, false), &here, 20, &mut memory).groups[0].backoff);
    // Failing again soon after doubles the wait.
    let empty = supply(group("g", 2, true), &here, 21, &mut memory);
    assert_eq!(empty.failed, failed(1));
    assert!(supply(group("g", 1, false), &here, 30, &mut memory).groups[0].backoff);
    assert!(!supply(group("g", 1, false), &here, 31, &mut memory).groups[0].backoff);
}

#[test]
fn without_a_list_there_is_no_supply() {
    assert!(Groups::default().supply(&[], NOON, &mut Memory::default()).is_none());
}

#[test]
fn a_template_that_does_not_say_how_many_pods_it_takes_takes_as_many_as_a_kubelet() {
    let supply = supply(group("g", 1, false), &[], 0, &mut Memory::default());
    assert_eq!(supply.groups[0].template.allocatable.get(&ResourceName::Pods), 110);
}

#[test]
fn prices_are_exact() {
    assert_eq!(
        supply(group("g", 1, false), &[], 0, &mut Memory::default()).groups[0].price,
        250_000
    );
}

#[test]
fn growth_stays_within_the_bounds() {
    let supply = supply(group("g", 3, false), &[], 0, &mut Memory::default());
    let mut observed =
        Observed { groups: supply.groups, coming: supply.coming, ..Observed::default() };
    let nodes =
        |observed: &Observed| growth(observed, &decide(observed)).iter().map(|it| it.nodes).sum();
    let mut check = |max: Option<usize>, selector: &str, want: u32| {
        observed.spec.max_available = max;
        observed.spec.node_selector =
            [("beta.kubernetes.io/os".to_owned(), selector.to_owned())].into();
        let found: u32 = nodes(&observed);
        assert_eq!(found, want, "{max:?} {selector}");
    };
    check(None, "linux", 7);
    check(Some(5), "linux", 2);
    check(Some(2), "linux", 0);
    check(None, "windows", 0);
}

#[test]
fn only_news_is_told() {
    let mut plan = Plan::default();
    plan.status.current_node_count = 2;
    plan.status.new_node_count = 2;
    plan.reasons = vec![("Needed", "n stays".into()), ("MaxPodsReached", "too many".into())];
    let mut told = Told::default();
    let Some(Report::Autoscaler { status, events, .. }) = told.news("a", report::of("c", &plan))
    else {
        panic!("the first is news");
    };
    assert_eq!(status["newNodeCount"], 2);
    assert_eq!(status["reason"], "MaxPodsReached");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(told.news("a", report::of("c", &plan)).is_none());
    plan.reasons.clear();
    assert!(told.news("a", report::of("c", &plan)).is_some());
}

#[test]
fn a_spec_that_is_not_understood_is_said_with_its_field() {
    let wrong = report::spec(&json!({"scaleDownUnneededTime": "soon"}));
    assert!(wrong.is_err_and(|it| it.starts_with("spec.scaleDownUnneededTime")));
    let spec = report::spec(&json!({"minAvailable": 1, "scaleDownUnneededTime": "30s"}));
    assert_eq!(spec.map(|it| it.unneeded_time), Ok(SignedDuration::from_secs(30)));
}

#[test]
fn two_autoscalers_do_not_buy_for_the_same_pods() {
    let pool = |name: &str| {
        let mut it = group(name, 0, false);
        it["spec"]["minSize"] = 0.into();
        it["spec"]["template"]["labels"] = json!({ "pool": name });
        it
    };
    let mut groups = Groups::default();
    groups.reset(vec![pool("a"), pool("b")]);
    let supply = groups.supply(&[], NOON, &mut Memory::default()).unwrap_or_default();
    let pod = |n: usize| {
        let pod = json!({"metadata": {"name": format!("p{n}"), "namespace": "d"},
            "status": {"phase": "Pending"}, "spec": {"containers": [
                {"resources": {"requests": {"cpu": "3", "memory": "1Gi"}}}]}});
        Arc::new(Pod::from_value(&pod).unwrap_or_default())
    };
    let pods: Vec<Arc<Pod>> = (0..3).map(pod).collect();
    let mut taken = Taken::default();
    let mut bought = |of: &str, most: usize| {
        let mut observed =
            Observed { groups: supply.groups.clone(), pods: pods.clone(), ..Observed::default() };
        observed.spec.node_selector = [("pool".to_owned(), of.to_owned())].into();
        observed.spec.max_available = Some(most);
        assert_eq!(taken.leave_out(&mut observed), None);
        let plan = decide(&observed);
        taken.add(of, observed.spec.node_selector, &plan);
        plan.effects
    };
    // What the first may not serve is the second's to serve.
    let grows = |group: &str, to| vec![Effect::IncreaseGroup { group: group.into(), to }];
    assert_eq!(bought("a", 2), grows("a", 2));
    assert_eq!(bought("b", 9), grows("b", 1));
}

#[test]
fn groups_that_may_not_be_seen_are_said_with_what_to_do() {
    let broken = |fault| Seen::Broken(Error { verb: "list", what: "nodegroups".into(), fault });
    let mut groups = Groups::default();
    groups.note("eu", broken(Fault::Unreachable("away".into())));
    assert_eq!(groups.refused(), None);
    groups.note("eu", broken(Fault::Forbidden("kogge may not".into())));
    let why = groups.refused().unwrap_or_default().to_owned();
    let said = report::no_groups("eu", &[node("a", "True"), node("b", "False")], &why).counts;
    assert_eq!((said.reason.as_str(), said.new_node_count), ("NodeGroupsRefused", 1));
    for word in ["could not list nodegroups: kogge may not", "nodegroups.kogge.dev", "ClusterRole"]
    {
        assert!(said.message.contains(word), "{}", said.message);
    }
    groups.note("eu", Seen::Reset { items: Vec::new(), version: "1".into() });
    assert_eq!(groups.refused(), None);
}

#[test]
fn a_node_is_given_up_when_it_has_been_unready_for_twenty_minutes_on_end() {
    let mut memory = Memory::default();
    let mut given_up = |ready: &str, minutes: i64| {
        supply(group("g", 1, false), &[node("n", ready)], minutes, &mut memory);
        memory.given_up(NOON + SignedDuration::from_mins(minutes)).len()
    };
    let told = [("Unknown", 0), ("Unknown", 19), ("True", 20), ("Unknown", 21), ("Unknown", 40)];
    assert!(told.iter().all(|(ready, minutes)| given_up(ready, *minutes) == 0));
    assert_eq!(given_up("Unknown", 41), 1);
}
