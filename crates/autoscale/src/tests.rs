//! The rule on small clusters, and its invariants on many.

use crate::*;
use jiff::{SignedDuration, Timestamp};
use kogge_model::{Labels, Node, Owner, Phase, Pod, PodSpec, Resources};
use proptest::prelude::*;
use std::sync::Arc;

fn node(name: String) -> Node {
    Node {
        name,
        labels: Labels::from([
            ("kubernetes.io/os".into(), "linux".into()),
            (GROUP_LABEL.into(), "g".into()),
        ]),
        allocatable: Resources::new(1000, 1 << 30),
        ready: true,
        ..Node::default()
    }
}

fn pod(name: String, cpu: i64, node: Option<String>) -> Pod {
    let spec = Arc::new(PodSpec { requests: Resources::new(cpu, 1), ..PodSpec::default() });
    let owner = Owner { kind: "ReplicaSet".into(), name: "web".into(), uid: "1".into() };
    let phase = if node.is_some() { Phase::Running } else { Phase::Pending };
    let ready = node.is_some();
    Pod { name, spec, owner: Some(owner), phase, ready, node, ..Pod::default() }
}

fn world(nodes: usize, pods: usize, cpu: i64, min: usize, max: usize, cap: usize) -> Observed {
    Observed {
        spec: Spec {
            node_selector: Labels::from([("beta.kubernetes.io/os".into(), "linux".into())]),
            min_available: min,
            max_available: Some(max),
            max_pods: Some(50),
            ..Spec::default()
        },
        nodes: (0..nodes).map(|i| node(format!("n{i}"))).collect(),
        pods: (0..pods).map(|i| Arc::new(pod(format!("p{i}"), cpu, None))).collect(),
        groups: vec![Group {
            name: "g".into(),
            max: cap,
            target: nodes,
            template: node("t".into()),
            ..Group::default()
        }],
        ..Observed::default()
    }
}

/// Does what the plan says, as a cluster would; evicted pods are placed where they fit.
fn apply(o: &mut Observed, effect: &Effect) {
    match effect {
        Effect::IncreaseGroup { to, .. } => {
            for i in o.groups[0].target..*to {
                o.coming.push(node(format!("coming{i}")));
            }
            o.groups[0].target = *to;
        }
        Effect::Cordon(name) | Effect::Uncordon(name) => {
            let cordon = matches!(effect, Effect::Cordon(_));
            for n in o.nodes.iter_mut().filter(|n| n.name == *name) {
                n.unschedulable = cordon;
                n.annotations.remove(DRAINING_ANNOTATION);
                if cordon {
                    n.annotations.insert(DRAINING_ANNOTATION.into(), "true".into());
                }
            }
        }
        Effect::Evict(pod) => {
            o.pods.retain(|p| p.name != pod.name);
            let snapshot = kogge_scheduling::Snapshot::new(o.nodes.clone(), &o.pods);
            let mut moved = Pod { node: None, ..(**pod).clone() };
            let at = kogge_scheduling::choose(&moved, &snapshot);
            moved.node = at.map(|at| snapshot.places[at].node.name.clone());
            o.pods.push(Arc::new(moved));
        }
        Effect::RemoveNode { node, to, .. } => {
            o.groups[0].target = *to;
            o.nodes.retain(|n| n.name != *node);
        }
    }
}

/// Runs rounds until nothing is left to do; the second figure is how many effects of the first round are done.
fn settle(o: &mut Observed, first: usize) -> Plan {
    let mut limit = first;
    for _ in 0..100 {
        let plan = decide(o);
        if plan.effects.is_empty() {
            return plan;
        }
        for effect in plan.effects.iter().take(limit) {
            apply(o, effect);
        }
        o.unneeded_since = plan.unneeded_since;
        limit = usize::MAX;
    }
    panic!("not settled: {:?}", decide(o));
}

#[track_caller]
fn check(o: &Observed, up: usize) {
    assert_eq!(decide(o).status.desired_scale_up_count, up, "{:?}", decide(o));
}

#[test]
fn nodes_are_added_for_the_minimum_and_for_pods_within_bounds() {
    check(&world(0, 0, 1, 1, 10, 10), 1);
    check(&world(1, 6, 500, 1, 10, 10), 2);
    check(&world(1, 50, 500, 1, 10, 20), 9);
    check(&world(1, 51, 500, 1, 10, 20), 0);
    check(&world(1, 5, 1001, 1, 10, 10), 0);
    check(&world(12, 40, 900, 1, 10, 20), 0);
}

#[test]
fn room_for_min_pods_is_bought_and_kept() {
    let mut o = world(1, 0, 1, 1, 10, 10);
    // A node of 1 GiB takes 8 pods of 128 MiB.
    o.spec.min_pods = 17;
    check(&o, 2);
    o = world(4, 0, 1, 1, 10, 10);
    (o.spec.min_pods, o.spec.scale_down) = (17, true);
    settle(&mut o, usize::MAX);
    assert_eq!(o.nodes.len(), 3);
}

#[test]
fn a_group_that_fails_is_passed_over() {
    let mut o = world(1, 6, 500, 1, 10, 10);
    let dear = Group { name: "dear".into(), price: 9, max: 9, ..o.groups[0].clone() };
    o.groups.push(dear);
    o.groups[0].backoff = true;
    let to = decide(&o).effects;
    assert_eq!(to, [Effect::IncreaseGroup { group: "dear".into(), to: 3 }]);
}

#[test]
fn unneeded_nodes_go_one_by_one_when_their_time_has_come() {
    let mut o = world(3, 0, 1, 1, 10, 10);
    o.pods = vec![Arc::new(pod("a".into(), 300, Some("n1".into())))];
    (o.spec.scale_down, o.spec.unneeded_time) = (true, SignedDuration::from_secs(10));
    let first = decide(&o);
    assert_eq!(first.status.desired_scale_down_count, 0);
    o.unneeded_since = first.unneeded_since;
    o.now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(10);
    let second = decide(&o);
    assert_eq!(second.status.new_node_count, 2);
    assert_eq!(second.effects[0], Effect::Cordon("n0".into()));
    settle(&mut o, usize::MAX);
    assert_eq!(o.nodes.len(), 1);
    o.spec.scale_down = false;
    assert_eq!(decide(&o).effects, []);
}

#[test]
fn a_node_stays_whose_pods_the_scheduler_would_not_place() {
    let places = [(5, 232), (5, 198), (2, 126), (0, 231), (6, 180), (5, 279), (2, 292), (3, 172)];
    let mut o = world(8, 0, 1, 1, 10, 10);
    o.spec.scale_down = true;
    let pods = places.iter().enumerate();
    o.pods = pods
        .map(|(i, (at, cpu))| Arc::new(pod(format!("p{i}"), *cpu, Some(format!("n{at}")))))
        .collect();
    settle(&mut o, 0);
    assert!(o.pods.iter().all(|p| p.node.is_some()), "{:?}", o.pods);
}

#[test]
fn nodes_are_kept_for_pods_without_an_owner_and_on_request() {
    let mut o = world(2, 0, 1, 0, 10, 10);
    o.spec.scale_down = true;
    o.pods = vec![Arc::new(Pod { owner: None, ..pod("a".into(), 1, Some("n0".into())) })];
    o.nodes[1].annotations = Labels::from([(
        "cluster-autoscaler.kubernetes.io/scale-down-disabled".into(),
        "true".into(),
    )]);
    let plan = decide(&o);
    assert_eq!(plan.effects, []);
    let why: Vec<_> = plan.reasons.iter().map(|(why, _)| *why).collect();
    assert_eq!(why, ["NotSafeToEvict", "ScaleDownDisabled"]);
}

#[test]
fn a_draining_node_that_is_needed_again_comes_back() {
    let mut o = world(2, 0, 1, 0, 10, 10);
    o.spec.scale_down = true;
    apply(&mut o, &Effect::Cordon("n0".into()));
    o.pods = (0..2).map(|i| Arc::new(pod(format!("p{i}"), 800, None))).collect();
    let plan = decide(&o);
    assert_eq!(plan.effects, [Effect::Uncordon("n0".into())]);
    assert_eq!(plan.status.desired_scale_up_count, 0);
}

#[track_caller]
fn says(o: &Observed, reason: &str, text: &str) {
    let plan = decide(o);
    let said: Vec<&str> =
        plan.reasons.iter().filter(|it| it.0 == reason).map(|it| it.1.as_str()).collect();
    assert_eq!(said, [text], "{:?}", plan.reasons);
}

#[test]
fn nodes_above_a_lowered_maximum_are_told_and_go_when_they_are_not_needed() {
    let mut o = world(6, 0, 1, 1, 4, 10);
    o.pods = (0..6).map(|i| Arc::new(pod(format!("p{i}"), 900, Some(format!("n{i}"))))).collect();
    let never = "2 nodes are more than maxAvailable 4: \
                 none goes while scaleDownUnneededWorkloads is false";
    says(&o, "AboveMaxAvailable", never);
    o.spec.scale_down = true;
    says(
        &o,
        "AboveMaxAvailable",
        "2 nodes are more than maxAvailable 4: they go only when not needed",
    );
    assert_eq!(decide(&o).status.new_node_count, 6, "each is full");
    o.pods.truncate(1);
    let plan = settle(&mut o, usize::MAX);
    assert!(plan.reasons.iter().all(|it| it.0 != "AboveMaxAvailable"), "{:?}", plan.reasons);
    assert_eq!(o.nodes.len(), 1);
}

#[test]
fn what_keeps_the_cluster_below_the_minimum_is_named() {
    const REASON: &str = "MinAvailableNotReached";
    let mut o = world(1, 0, 1, 5, 10, 3);
    says(&o, REASON, "minAvailable 5 is not reached: g may have no more than 3");
    o.groups.push(Group { name: "dear".into(), backoff: true, ..o.groups[0].clone() });
    let both = "minAvailable 5 is not reached: \
                dear gives no nodes for now, g may have no more than 3";
    says(&o, REASON, both);
    o.groups.remove(0);
    says(&o, REASON, "minAvailable 5 is not reached: dear gives no nodes for now");
    o.groups[0].template.labels.clear();
    let none = "minAvailable 5 is not reached: no node group has nodes that nodeSelector selects";
    says(&o, REASON, none);
    o.groups.clear();
    says(&o, REASON, "minAvailable 5 is not reached: the cluster has no node group");
    o = world(1, 0, 1, 5, 2, 10);
    says(&o, REASON, "minAvailable 5 is not reached: maxAvailable is 2");
    o = world(1, 0, 1, 5, 10, 10);
    assert!(decide(&o).reasons.iter().all(|it| it.0 != REASON), "it is being reached");
}

/// A group with `min` to `max` nodes, of which `there` are there, one of them not as it should be.
fn any_group(name: &'static str) -> impl Strategy<Value = (Group, Vec<Node>, Vec<Node>)> {
    let bounds = (0..3_usize, 0..6_usize, 0..6_usize, 0..3_usize);
    (bounds, any::<(bool, bool, bool)>(), 0..3_u64).prop_map(move |(counts, odd, price)| {
        let (min, more, there, coming) = counts;
        let (backoff, silent, draining) = odd;
        let named = |of: &str, i: usize| {
            let mut node = node(format!("{name}-{of}{i}"));
            node.labels.insert(GROUP_LABEL.into(), name.into());
            node
        };
        let mut nodes: Vec<Node> = (0..there).map(|i| named("n", i)).collect();
        if let Some(first) = nodes.first_mut() {
            first.ready = !silent;
            first.unschedulable = draining;
            if draining {
                first.annotations.insert(DRAINING_ANNOTATION.into(), "true".into());
            }
        }
        let group = Group {
            name: name.into(),
            min,
            max: min + more,
            target: there + coming,
            template: node("t".into()),
            price,
            backoff,
        };
        (group, nodes, (0..coming).map(|i| named("c", i)).collect())
    })
}

proptest! {
    /// Whatever is there already, a plan makes nothing worse.
    #[test]
    fn no_plan_leaves_the_bounds_of_the_spec_or_of_a_group(
        a in any_group("a"), b in any_group("b"),
        pods in prop::collection::vec((0..8_usize, 1..1200_i64), 0..30),
        (min, more, keep, scale_down) in (0..6_usize, 0..8_usize, 0..20_usize, any::<bool>()),
    ) {
        let mut o = world(0, 0, 1, min, min + more, 0);
        (o.spec.min_pods, o.spec.scale_down) = (keep, scale_down);
        o.groups = vec![a.0, b.0];
        o.nodes = [a.1, b.1].concat();
        o.coming = [a.2, b.2].concat();
        let at = |i: usize| o.nodes.get(i).map(|n| n.name.clone());
        o.pods = pods
            .iter()
            .enumerate()
            .map(|(i, (to, cpu))| Arc::new(pod(format!("p{i}"), *cpu, at(*to))))
            .collect();
        let plan = decide(&o);
        prop_assert_eq!(&plan, &decide(&o));
        let s = &plan.status;
        let (up, down) = (s.desired_scale_up_count, s.desired_scale_down_count);
        prop_assert_eq!(s.new_node_count + down, s.current_node_count + up);
        prop_assert!(up == 0 || down == 0, "{:?}", plan);
        prop_assert!(s.new_node_count <= (min + more).max(s.current_node_count), "{:?}", plan);
        prop_assert!(min.min(s.current_node_count) <= s.new_node_count, "{:?}", plan);
        prop_assert!(scale_down || down == 0);
        let mut bought = 0;
        for effect in &plan.effects {
            let of = |name: &str| o.groups.iter().find(|g| g.name == name).expect("it is there");
            match effect {
                Effect::IncreaseGroup { group, to } => {
                    let group = of(group);
                    prop_assert!(!group.backoff && group.target < *to && *to <= group.max);
                    bought += to - group.target;
                }
                Effect::RemoveNode { group, to, .. } => {
                    let group = of(group);
                    prop_assert!(group.min <= *to && *to + 1 == group.target);
                    prop_assert_eq!(down, 1);
                }
                Effect::Cordon(_) | Effect::Evict(_) => prop_assert_eq!(down, 1),
                Effect::Uncordon(_) => prop_assert_eq!(down, 0),
            }
        }
        prop_assert_eq!(bought, up);
        let said = |reason: &str| plan.reasons.iter().any(|it| it.0 == reason);
        prop_assert_eq!(said("AboveMaxAvailable"), min + more < s.current_node_count);
        prop_assert_eq!(said("MinAvailableNotReached"), s.current_node_count + up < min);
    }

    #[test]
    fn the_identity_and_the_bounds_hold(n in 0..15_usize, p in 0..60_usize, cpu in 1..1500_i64, min in 0..5_usize, max in 5..12_usize, cap in 0..20_usize, keep in 0..30_usize, scale_down: bool) {
        let mut o = world(n, p, cpu, min, max, cap);
        (o.spec.min_pods, o.spec.scale_down) = (keep, scale_down);
        let plan = decide(&o);
        let s = &plan.status;
        prop_assert_eq!(s.new_node_count, s.current_node_count + s.desired_scale_up_count - s.desired_scale_down_count);
        prop_assert!(s.new_node_count <= max.max(n) && n + s.desired_scale_up_count <= cap.max(n));
        prop_assert!(s.desired_scale_up_count == 0 || s.desired_scale_down_count == 0);
        prop_assert!(s.new_node_count >= min.min(s.current_node_count));
    }

    #[test]
    fn what_is_bought_is_bought_once(n in 0..6_usize, p in 0..40_usize, cpu in 1..1500_i64, keep in 0..30_usize) {
        let mut o = world(n, p, cpu, 1, 10, 20);
        o.spec.min_pods = keep;
        for effect in decide(&o).effects {
            apply(&mut o, &effect);
        }
        prop_assert_eq!(decide(&o).effects, []);
    }

    #[test]
    fn a_run_cut_short_is_finished_by_the_next(places in prop::collection::vec((0..8_usize, 1..300_i64), 0..12), cut in 0..4_usize) {
        let mut o = world(8, 0, 1, 1, 10, 10);
        o.spec.scale_down = true;
        o.pods = places.iter().enumerate().map(|(i, (at, cpu))| Arc::new(pod(format!("p{i}"), *cpu, Some(format!("n{at}"))))).collect();
        settle(&mut o, cut);
        prop_assert!(!o.nodes.is_empty());
        prop_assert!(o.pods.iter().all(|p| p.node.is_some()), "{:?}", o.pods);
        prop_assert!(o.nodes.iter().all(|n| !n.unschedulable));
    }
}

#[test]
fn what_waits_is_served_or_left_over() {
    let names = |o: &Observed| -> Vec<String> {
        let plan = decide(o);
        plan.served
            .iter()
            .map(|it| it.name.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    // Two nodes at most, two pods on each.
    let mut o = world(1, 5, 500, 1, 2, 10);
    assert_eq!(names(&o), ["p0", "p1", "p2", "p3"]);
    o.spec.max_pods = Some(4);
    assert_eq!(names(&o), [""; 0]);
}

#[test]
fn a_node_that_is_given_up_leaves_its_place_once_its_pods_are_on_their_way_out() {
    let mut o = world(2, 0, 500, 1, 10, 10);
    (o.groups[0].target, o.spec.scale_down) = (3, true);
    o.spec.min_available = 2;
    o.nodes.push(Node { ready: false, lost: true, ..node("n2".into()) });
    let stuck = |deleting| Arc::new(Pod { deleting, ..pod("p".into(), 1, Some("n2".into())) });
    o.pods = vec![stuck(false)];
    assert_eq!(decide(&o).effects, []);
    o.given_up.insert("n2".into());
    assert_eq!(decide(&o).effects, [], "its pod may run on");
    o.pods = vec![stuck(true)];
    let gone = Effect::RemoveNode { group: "g".into(), node: "n2".into(), to: 2 };
    assert_eq!(decide(&o).effects, std::slice::from_ref(&gone));
    assert_eq!(decide(&o).status.new_node_count, 2);
    o.groups[0].min = 3;
    assert_eq!(decide(&o).effects, []);
    o.groups[0].min = 0;
    apply(&mut o, &gone);
    assert_eq!((decide(&o).effects, o.nodes.len()), (vec![], 2));
}
