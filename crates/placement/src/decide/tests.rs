use proptest::{prelude::*, strategy::Strategy};
use serde_json::{Value, json};

use super::*;
use crate::policy::Strategy as Division;

fn clusters(names: &[&str]) -> Vec<Cluster> {
    let one = |name: &&str| Cluster { name: (*name).to_owned(), ready: true, ..Cluster::default() };
    names.iter().map(one).collect()
}

#[derive(Debug)]
struct Case {
    placement: Placement,
    clusters: Vec<Cluster>,
    rooms: BTreeMap<String, u32>,
    previous: BTreeMap<String, u32>,
    group: Option<&'static str>,
    mode: Mode,
}

fn named(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
    pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

impl Case {
    fn new(placement: &Value, rooms: &[(&str, u32)]) -> Self {
        let names: Vec<&str> = rooms.iter().map(|it| it.0).collect();
        Self {
            placement: serde_json::from_value(placement.clone()).unwrap(),
            clusters: clusters(&names),
            rooms: named(rooms),
            previous: BTreeMap::new(),
            group: None,
            mode: Mode::Steady,
        }
    }

    fn had(mut self, pairs: &[(&str, u32)]) -> Self {
        self.previous = named(pairs);
        self
    }

    fn decide(&self, replicas: Option<u32>) -> Decision {
        let template = Template {
            api_version: "apps/v1",
            kind: "Deployment",
            replicas,
            ..Template::default()
        };
        decide(&Request {
            template: &template,
            placement: &self.placement,
            clusters: &self.clusters,
            room: &|it| self.rooms[&it.name],
            previous: &self.previous,
            previous_group: self.group,
            mode: self.mode,
            left: &BTreeMap::new(),
        })
    }

    #[track_caller]
    fn check(&self, replicas: impl Into<Option<u32>>, want: &str) {
        let got = self.decide(replicas.into());
        let mut said: Vec<String> = got
            .targets
            .iter()
            .map(|it| it.replicas.map_or(it.name.clone(), |n| format!("{}={n}", it.name)))
            .collect();
        if got.reason != Reason::Success {
            said.push(got.reason.as_str().to_owned());
        }
        assert_eq!(said.join(" "), want, "{}", got.message);
    }
}

fn divided(rest: &Value) -> Value {
    json!({"replicaScheduling": rest})
}

fn dynamic() -> Value {
    divided(&json!({"weightPreference": {"dynamicWeight": "AvailableReplicas"}}))
}

fn aggregated() -> Value {
    divided(&json!({"replicaDivisionPreference": "Aggregated"}))
}

const ROOMS: [(&str, u32); 3] = [("a", 10), ("b", 20), ("c", 30)];

#[test]
fn duplicated_goes_everywhere_in_full() {
    Case::new(&json!({}), &ROOMS).check(3, "a=3 b=3 c=3");
    Case::new(&json!({}), &ROOMS).check(None, "a b c");
    Case::new(&dynamic(), &ROOMS).check(None, "a b c");
}

#[test]
fn fixed_weights_ignore_room() {
    let weights = divided(&json!({"weightPreference": {"staticWeightList": [
        {"targetCluster": {"clusterNames": ["a"]}, "weight": 2},
        {"targetCluster": {"clusterNames": ["a", "b"]}, "weight": 1}]}}));
    let case = Case::new(&weights, &[("a", 0), ("b", 0), ("c", 99)]);
    case.check(9, "a=6 b=3");
    assert_eq!(case.decide(Some(9)).left_out["c"], LeftOut::NoWeight);
    Case::new(&divided(&json!({})), &ROOMS).check(5, "a=2 b=2 c=1");
}

#[test]
fn dynamic_weights_follow_room() {
    Case::new(&dynamic(), &ROOMS).check(6, "a=1 b=2 c=3");
    Case::new(&dynamic(), &ROOMS).check(60, "a=10 b=20 c=30");
    Case::new(&dynamic(), &ROOMS).check(61, "Unschedulable");
    Case::new(&dynamic(), &[("a", 0), ("b", 5)]).check(5, "b=5");
}

#[test]
fn what_is_placed_stays_where_it_is() {
    let had = [("a", 6), ("c", 1)];
    Case::new(&dynamic(), &ROOMS).had(&had).check(7, "a=6 c=1");
    Case::new(&dynamic(), &ROOMS).had(&had).check(13, "a=7 b=2 c=4");
    Case::new(&dynamic(), &ROOMS).had(&had).check(3, "a=3");
    Case::new(&dynamic(), &ROOMS).had(&had).check(0, "a=0 c=0");
    let fresh = Case { mode: Mode::Fresh, ..Case::new(&dynamic(), &ROOMS).had(&had) };
    fresh.check(67, "a=16 b=20 c=31");
}

#[test]
fn no_room_for_more_takes_nothing_away() {
    let full = [("a", 0), ("b", 0)];
    Case::new(&dynamic(), &full).had(&[("a", 2)]).check(3, "a=2 Unschedulable");
    let got = Case::new(&dynamic(), &full).had(&[("a", 2)]).decide(Some(3));
    insta::assert_snapshot!(got.message, @"2/2 clusters are available: 1 more replicas do not fit: the clusters have room for 0");
}

#[test]
fn aggregated_uses_few_clusters_and_first_those_in_use() {
    Case::new(&aggregated(), &ROOMS).check(30, "c=30");
    Case::new(&aggregated(), &ROOMS).check(31, "b=12 c=19");
    Case::new(&aggregated(), &ROOMS).had(&[("a", 1)]).check(6, "a=6");
    Case::new(&aggregated(), &ROOMS).had(&[("a", 1)]).check(12, "a=4 c=8");
}

#[test]
fn the_first_group_that_fits_is_used_and_not_left_for_an_earlier_one() {
    let mut placement = dynamic();
    placement["clusterAffinities"] = json!([
        {"affinityName": "near", "clusterNames": ["a"]}, {"affinityName": "far", "clusterNames": ["c"]}]);
    let case = Case::new(&placement, &ROOMS);
    case.check(10, "a=10");
    case.check(11, "c=11");
    assert_eq!(case.decide(Some(11)).group.as_deref(), Some("far"));
    let settled = Case { group: Some("far"), ..Case::new(&placement, &ROOMS).had(&[("c", 11)]) };
    settled.check(10, "c=10");
    let fresh = Case { group: Some("far"), mode: Mode::Fresh, ..Case::new(&placement, &ROOMS) };
    fresh.check(10, "a=10");
}

#[test]
fn spread_takes_the_best_clusters_only() {
    let mut placement = dynamic();
    placement["spreadConstraints"] =
        json!([{"spreadByField": "cluster", "maxGroups": 2, "minGroups": 1}]);
    let case = Case::new(&placement, &ROOMS);
    case.check(5, "b=2 c=3");
    assert_eq!(case.decide(Some(5)).left_out["a"], LeftOut::SpreadEnough);
    case.check(51, "Unschedulable");
    placement["spreadConstraints"][0]["minGroups"] = 4.into();
    Case::new(&placement, &ROOMS).check(5, "NoClusterFit");
}

#[test]
fn every_cluster_that_is_left_out_has_a_reason() {
    let mut case = Case::new(&json!({"clusterAffinity": {"clusterNames": ["a"]}}), &ROOMS);
    case.clusters[0].ready = false;
    let got = case.decide(Some(1));
    insta::assert_snapshot!(got.message, @"0/3 clusters are available: 2 did not match the cluster affinity, 1 not ready");
    assert_eq!(got.reason, Reason::NoClusterFit);
    let said: Vec<String> =
        got.left_out.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    a: it is not ready
    b: it is not one of the policy's clusterNames
    c: it is not one of the policy's clusterNames
    ");
    let got = Case::new(&aggregated(), &ROOMS).decide(Some(3));
    insta::assert_snapshot!(got.message, @"placed on 1 of 3 clusters: c 3");
    assert_eq!(got.left_out.len(), 2);
}

#[test]
fn no_clusters_at_all_is_said() {
    let got = Case::new(&json!({}), &[]).decide(Some(1));
    assert_eq!(
        (got.reason, &got.message[..]),
        (Reason::NoClusterFit, "0/0 clusters are available")
    );
}

#[test]
fn room_that_is_not_known_is_just_enough() {
    Case::new(&dynamic(), &[("a", u32::MAX), ("b", u32::MAX)]).check(5, "a=3 b=2");
}

fn strategy() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!({})), Just(divided(&json!({}))), Just(dynamic()), Just(aggregated())]
}

fn case() -> impl Strategy<Value = Case> {
    let cluster = ("[a-f]", (0_u32..40, proptest::option::of(1_u32..20)));
    (strategy(), prop::collection::btree_map(cluster.0, cluster.1, 0..6), any::<bool>()).prop_map(
        |(placement, them, fresh)| {
            let rooms: Vec<(&str, u32)> = them.iter().map(|(name, it)| (&name[..], it.0)).collect();
            let had: Vec<(&str, u32)> =
                them.iter().filter_map(|(name, it)| Some((&name[..], it.1?))).collect();
            let mode = if fresh { Mode::Fresh } else { Mode::Steady };
            Case { mode, ..Case::new(&placement, &rooms).had(&had) }
        },
    )
}

fn total(decision: &Decision) -> u32 {
    decision.targets.iter().filter_map(|it| it.replicas).sum()
}

proptest! {
    #[test]
    fn divided_replicas_are_all_placed_or_not_at_all(case in case(), replicas in 0_u32..200) {
        let got = case.decide(Some(replicas));
        if got.reason == Reason::Success && case.placement.is_divided() {
            prop_assert_eq!(total(&got), replicas);
        }
        let placed = |it: &&Cluster| got.targets.iter().any(|target| target.name == it.name);
        let spoken_of = |it: &Cluster| placed(&it) != got.left_out.contains_key(&it.name);
        if got.reason == Reason::Success && replicas != 0 {
            prop_assert!(case.clusters.iter().all(spoken_of));
        }
    }

    #[test]
    fn no_cluster_goes_past_its_room(case in case(), replicas in 0_u32..200) {
        let got = case.decide(Some(replicas));
        let by_room = matches!(case.placement.strategy(), Division::Dynamic | Division::Aggregated);
        for it in got.targets.iter().filter(|_| by_room) {
            let had = case.previous.get(&it.name).copied().unwrap_or(0);
            prop_assert!(it.replicas.unwrap() <= case.rooms[&it.name] + had);
        }
    }

    #[test]
    fn the_order_of_clusters_does_not_matter(case in case(), replicas in 0_u32..200) {
        let got = case.decide(Some(replicas));
        let clusters = case.clusters.iter().rev().cloned().collect();
        prop_assert_eq!(Case { clusters, ..case }.decide(Some(replicas)), got);
    }

    #[test]
    fn deciding_again_changes_nothing(case in case(), replicas in 1_u32..200) {
        let first = case.decide(Some(replicas));
        if first.reason != Reason::Success {
            return Ok(());
        }
        let previous = first.targets.iter().map(|it| (it.name.clone(), it.replicas.unwrap())).collect();
        let again = Case { previous, mode: Mode::Steady, ..case }.decide(Some(replicas));
        prop_assert_eq!(again.targets, first.targets);
    }
}
