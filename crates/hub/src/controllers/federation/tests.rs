use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kogge_api::{
    find_condition,
    fleet::{Cluster, ClusterStatus, Federation, FederationStatus, MemberState},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    decide::{APPROVE_REMOVAL, Effect, LABEL, LEAVING, Left, Observed, Sighting, decide},
    status::{Refused, conclude},
};

const NOON: Timestamp = Timestamp::constant(1_750_000_000, 0);

fn federation(name: &str, born: u32, members: &[&str]) -> Federation {
    let member = |it: &&str| json!({"name": it, "url": format!("https://{it}.example.com")});
    let members: Vec<Value> = members.iter().map(member).collect();
    serde_json::from_value(json!({
        "apiVersion": "federation.k8s.io/v1beta1", "kind": "Federation",
        "metadata": {"name": name, "generation": 1,
            "creationTimestamp": format!("2026-01-01T00:00:{born:02}Z")},
        "members": members,
    }))
    .unwrap()
}

/// A cluster that joined, and answers.
fn cluster(name: &str, owner: Option<&str>) -> Cluster {
    let mut it: Cluster = serde_json::from_value(json!({
        "metadata": {"name": name, "resourceVersion": "7"},
        "spec": {"apiEndpoint": format!("https://{name}.example.com"),
            "secretRef": {"name": format!("cluster-{name}"), "namespace": "kogge-system"}},
        "status": {"kubernetesVersion": "v1.37.0", "conditions": [
            {"type": "Ready", "status": "True", "reason": "ClusterReady", "message": "fine",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    }))
    .unwrap();
    let label = owner.map(|it| (LABEL.to_owned(), it.to_owned()));
    it.metadata.labels = label.into_iter().collect();
    it
}

fn seen(federation: Option<Federation>, clusters: &[Cluster]) -> Observed {
    Observed {
        now: NOON,
        name: "fed".to_owned(),
        federation,
        others: Vec::new(),
        clusters: clusters.iter().map(|it| (it.metadata.name.clone(), it.clone())).collect(),
        left: BTreeMap::new(),
        held: BTreeSet::new(),
        sightings: BTreeMap::new(),
    }
}

fn merge(whole: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *whole = patch.clone();
        return;
    };
    if !whole.is_object() {
        *whole = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            whole.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut whole[key], value);
        }
    }
}

/// Plays effects against the state they were made for, as a perfect API server would.
fn play(mut seen: Observed, effects: &[Effect]) -> Observed {
    for effect in effects {
        match effect {
            Effect::Create(object) => {
                let made: Cluster = serde_json::from_value(object.clone()).unwrap();
                seen.clusters.insert(made.metadata.name.clone(), made);
            }
            Effect::Patch { cluster, patch } => {
                let mut value = json!(seen.clusters[cluster]);
                merge(&mut value, patch);
                seen.clusters.insert(cluster.clone(), serde_json::from_value(value).unwrap());
            }
            Effect::ApproveDeletions(cluster) => {
                seen.held.remove(cluster);
            }
            Effect::Unjoin(cluster) => {
                seen.clusters.remove(cluster);
            }
            Effect::UseUpApproval => {
                let federation = seen.federation.as_mut().unwrap();
                federation.metadata.annotations.remove(APPROVE_REMOVAL);
            }
            Effect::Say { .. } => {}
        }
    }
    seen
}

fn leaves(seen: &Observed, cluster: &str) -> bool {
    seen.clusters[cluster]
        .spec
        .taints
        .iter()
        .any(|it| it.key == LEAVING && it.effect == "NoExecute")
}

fn status(seen: &Observed) -> FederationStatus {
    conclude(seen, &Refused::new()).0.unwrap()
}

#[track_caller]
fn check_ready(seen: &Observed, reason: &str, message: &str) {
    let status = status(seen);
    let ready = find_condition(&status.conditions, "Ready").unwrap();
    assert_eq!((ready.reason.as_str(), ready.message.as_str()), (reason, message));
    assert_eq!(ready.observed_generation, Some(1));
}

#[track_caller]
fn check_idle(seen: &Observed) {
    assert_eq!(decide(seen), []);
}

#[test]
fn each_member_becomes_a_cluster_with_neither_owner_nor_finalizer() {
    let mut fed = federation("fed", 0, &["a"]);
    fed.members[0].region = Some("eu".into());
    fed.members[0].labels = [("tier".to_owned(), "gold".to_owned())].into();
    let Effect::Create(made) = &decide(&seen(Some(fed), &[]))[0] else { panic!("it is created") };
    let want = json!({
        "apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
        "metadata": {"name": "a", "labels": {LABEL: "fed", "tier": "gold"}},
        "spec": {"syncMode": "Push", "apiEndpoint": "https://a.example.com", "region": "eu"},
    });
    assert_eq!(*made, want);
}

#[test]
fn a_cluster_that_joined_keeps_the_address_it_joined_with() {
    let mut it = cluster("a", Some("fed"));
    it.spec.api_endpoint = "https://10.0.0.1:6443".into();
    check_idle(&seen(Some(federation("fed", 0, &["a"])), &[it.clone()]));
    it.spec.secret_ref = None;
    let seen = seen(Some(federation("fed", 0, &["a"])), &[it]);
    let after = play(seen.clone(), &decide(&seen));
    assert_eq!(after.clusters["a"].spec.api_endpoint, "https://a.example.com");
}

#[test]
fn another_secret_on_the_list_takes_the_place_of_the_one_before() {
    let mut fed = federation("fed", 0, &["a"]);
    fed.members[0].secret_ref = Some(serde_json::from_value(json!({"name": "mine"})).unwrap());
    let seen = seen(Some(fed), &[cluster("a", Some("fed"))]);
    let after = play(seen.clone(), &decide(&seen));
    let reference = after.clusters["a"].spec.secret_ref.clone().unwrap();
    assert_eq!((reference.name.as_str(), reference.namespace), ("mine", None));
    check_idle(&after);
}

#[test]
fn a_cluster_joined_by_hand_is_counted_and_left_alone() {
    let mut both = seen(Some(federation("fed", 0, &["a"])), &[cluster("a", None)]);
    check_idle(&both);
    check_ready(&both, "MembersReady", "all 1 members are ready");
    // Off the list it stays, and that is said once.
    both.federation.as_mut().unwrap().status = status(&both);
    both.federation.as_mut().unwrap().members.clear();
    check_idle(&both);
    let (_, said) = conclude(&both, &Refused::new());
    let [Effect::Say { reason: "MemberReleased", message, .. }] = &said[..] else {
        panic!("{said:?}")
    };
    assert!(message.ends_with("kogge unjoin a"), "{message}");
}

#[test]
fn without_credentials_the_command_that_helps_is_named() {
    let mut it = cluster("a", Some("fed"));
    it.spec.secret_ref = None;
    it.status = serde_json::from_value(json!({"conditions": [{
        "type": "Ready", "status": "False", "reason": "NoCredentials",
        "message": "the cluster has no spec.secretRef; run: kogge join a --cluster-kubeconfig FILE",
    }]}))
    .unwrap();
    let seen = seen(Some(federation("fed", 0, &["a", "b"])), &[it, cluster("b", Some("fed"))]);
    check_ready(
        &seen,
        "NoCredentials",
        "a: the cluster has no spec.secretRef; run: kogge join a --cluster-kubeconfig FILE",
    );
    let status = status(&seen);
    assert_eq!((status.ready.as_str(), status.total_members, status.ready_members), ("1/2", 2, 1));
    assert_eq!(status.members[0].state, MemberState::Pending);
}

#[test]
fn who_is_off_the_list_is_drained_and_then_unjoined() {
    let clusters = ["a", "b", "c"].map(|it| cluster(it, Some("fed")));
    let mut seen = seen(Some(federation("fed", 0, &["a", "b"])), &clusters);
    seen = play(seen.clone(), &decide(&seen));
    assert!(leaves(&seen, "c") && !leaves(&seen, "a"));
    for left in [Left::Placed(vec!["Deployment.apps shop/web".into()]), Left::Unknown("x".into())] {
        seen.left.insert("c".into(), left);
        check_idle(&seen);
    }
    let last = &status(&seen).members[2];
    assert_eq!(last.state, MemberState::Leaving);
    assert_eq!(
        last.message,
        "what it still runs is not known: x; to let it go as it is: kogge unjoin c --force"
    );
    // The list is a person's word also for what the agent holds.
    seen.left.insert("c".into(), Left::Objects(40));
    seen.held.insert("c".into());
    assert_eq!(decide(&seen), [Effect::ApproveDeletions("c".into())]);
    seen.left.insert("c".into(), Left::Nothing);
    assert_eq!(decide(&seen)[0], Effect::Unjoin("c".into()));
    // Listed again before that, it stays.
    seen.federation = Some(federation("fed", 0, &["a", "b", "c"]));
    let after = play(seen.clone(), &decide(&seen));
    assert!(!leaves(&after, "c"));
    check_idle(&after);
}

#[test]
fn half_of_the_fleet_does_not_leave_without_a_word() {
    let clusters = ["a", "b", "c", "d"].map(|it| cluster(it, Some("fed")));
    let mut seen = seen(Some(federation("fed", 0, &["a", "b"])), &clusters);
    check_idle(&seen);
    check_ready(
        &seen,
        "RemovalHeld",
        "so much of the fleet would leave at once that it waits: c, d; to agree, run \
         kubectl annotate federation fed kogge.dev/approve-removal=true",
    );
    let annotations = &mut seen.federation.as_mut().unwrap().metadata.annotations;
    annotations.insert(APPROVE_REMOVAL.into(), "true".into());
    let after = play(seen.clone(), &decide(&seen));
    assert!(leaves(&after, "c") && leaves(&after, "d"));
    check_idle(&after);
    // What never answered runs nothing.
    for it in ["c", "d"] {
        seen.clusters.get_mut(it).unwrap().status.kubernetes_version.clear();
    }
    seen.federation.as_mut().unwrap().metadata.annotations.clear();
    assert!(leaves(&play(seen.clone(), &decide(&seen)), "d"));
}

#[test]
fn a_federation_that_is_deleted_takes_nothing_with_it() {
    let seen = seen(None, &[cluster("a", Some("fed")), cluster("b", Some("other"))]);
    let after = play(seen.clone(), &decide(&seen));
    assert_eq!(after.clusters["a"], cluster("a", None));
    assert_eq!(after.clusters["b"], seen.clusters["b"]);
    assert!(conclude(&seen, &Refused::new()).0.is_none());
}

#[test]
fn of_two_federations_the_older_has_the_member() {
    let mut seen = seen(Some(federation("fed", 9, &["a"])), &[]);
    seen.others = vec![federation("old", 1, &["a"])];
    check_idle(&seen);
    let words = "a: it is a member of Federation old; take it off one of the two lists";
    check_ready(&seen, "MemberConflict", words);
    seen.clusters.insert("a".into(), cluster("a", Some("old")));
    check_ready(&seen, "MemberConflict", words);
    // It has it already: age does not matter. Off its own list, the other one gets it undrained.
    seen.clusters.insert("a".into(), cluster("a", Some("fed")));
    check_ready(&seen, "MembersReady", "all 1 members are ready");
    seen.federation = Some(federation("fed", 9, &[]));
    let after = play(seen.clone(), &decide(&seen));
    assert_eq!(after.clusters["a"].metadata.labels[LABEL], "old");
    assert!(!leaves(&after, "a"));
}

#[test]
fn what_the_api_refuses_and_what_is_listed_twice_is_said() {
    let seen = seen(Some(federation("fed", 0, &["a", "b", "a"])), &[]);
    check_ready(&seen, "DuplicateMember", "members: listed more than once: a");
    let mut one = seen.clone();
    one.federation.as_mut().unwrap().members.truncate(1);
    let why = "metadata.labels: Invalid value".to_owned();
    let (status, said) = conclude(&one, &Refused::from([("a".to_owned(), why.clone())]));
    let status = status.unwrap();
    let ready = find_condition(&status.conditions, "Ready").unwrap();
    assert_eq!((ready.reason.as_str(), &ready.message), ("Refused", &format!("a: {why}")));
    assert!(matches!(&said[..], [Effect::Say { warning: true, reason: "MemberPending", .. }]));
}

#[test]
fn a_status_is_said_once() {
    let clusters = [cluster("a", Some("fed"))];
    let mut seen = seen(Some(federation("fed", 0, &["a"])), &clusters);
    let (status, said) = conclude(&seen, &Refused::new());
    assert_eq!(said.len(), 2, "added, and ready");
    seen.federation.as_mut().unwrap().status = status.unwrap();
    assert_eq!(conclude(&seen, &Refused::new()), (None, Vec::new()));
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn any_left() -> impl Strategy<Value = Left> {
    prop_oneof![
        Just(Left::Nothing),
        Just(Left::Placed(vec!["ConfigMap x/y".into()])),
        Just(Left::Objects(3)),
        Just(Left::Unknown("silent".into())),
    ]
}

fn any_cluster(name: &'static str) -> impl Strategy<Value = Cluster> {
    let owner = prop::sample::select(vec![None, Some("fed"), Some("other"), Some("gone")]);
    (owner, any::<[bool; 3]>()).prop_map(move |(owner, [leaving, answered, joined])| {
        let mut it = cluster(name, owner);
        if leaving {
            it.spec.taints = serde_json::from_value(json!([
                {"key": "mine", "effect": "NoSchedule"},
                {"key": LEAVING, "effect": "NoExecute"},
            ]))
            .unwrap();
        }
        if !answered {
            it.status = ClusterStatus::default();
        }
        if !joined {
            it.spec.secret_ref = None;
            it.spec.api_endpoint = "https://elsewhere".into();
        }
        it
    })
}

fn any_seen() -> impl Strategy<Value = Observed> {
    let list = || prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len());
    let clusters = list().prop_flat_map(|names| {
        names.into_iter().map(|it| any_cluster(it).boxed()).collect::<Vec<_>>()
    });
    let left = prop::collection::vec(any_left(), NAMES.len());
    (prop::option::of((list(), any::<bool>())), list(), clusters, left, list()).prop_map(
        |(own, other, clusters, left, held)| {
            let own = own.map(|(members, approved)| {
                let mut it = federation("fed", 5, &members);
                if approved {
                    it.metadata.annotations.insert(APPROVE_REMOVAL.into(), "true".into());
                }
                it
            });
            let mut it = seen(own, &clusters);
            it.others = vec![federation("other", 3, &other)];
            it.left = NAMES.iter().map(|it| (*it).to_owned()).zip(left).collect();
            it.held = held.into_iter().map(str::to_owned).collect();
            it.left.retain(|name, _| {
                it.clusters.get(name).is_some_and(|it| !it.spec.taints.is_empty())
            });
            it
        },
    )
}

proptest! {
    #[test]
    fn a_plan_settles_in_one_round(seen in any_seen()) {
        let after = play(seen.clone(), &decide(&seen));
        prop_assert_eq!(decide(&after), []);
    }

    #[test]
    fn the_next_run_finishes_an_interrupted_one(seen in any_seen(), cut in 0_usize..12) {
        let effects = decide(&seen);
        let whole = play(seen.clone(), &effects);
        let part = play(seen, &effects[..cut.min(effects.len())]);
        let resumed = play(part.clone(), &decide(&part));
        prop_assert_eq!(resumed.clusters, whole.clusters);
    }

    /// Promise: nothing is taken from a cluster that another has, that joined by hand or is listed.
    #[test]
    fn only_what_is_ours_and_off_the_list_ever_leaves(seen in any_seen()) {
        for effect in decide(&seen) {
            let (Effect::Unjoin(name) | Effect::ApproveDeletions(name)) = effect else { continue };
            let labels = &seen.clusters[&name].metadata.labels;
            prop_assert_eq!(labels.get(LABEL).map(String::as_str), Some("fed"));
            prop_assert!(seen.listed().iter().all(|it| it.name != name));
            prop_assert!(!matches!(seen.left[&name], Left::Placed(_) | Left::Unknown(_)));
        }
    }
}

/// What is written of member `a`, seen by `by` so many seconds after noon.
fn last_seen(fed: &mut Federation, seconds: i64, by: &[&str]) -> Option<(i64, Vec<String>)> {
    let mut seen = seen(Some(fed.clone()), &[cluster("a", Some("fed"))]);
    seen.now = Timestamp::from_second(NOON.as_second() + seconds).unwrap();
    if !by.is_empty() {
        let by = by.iter().map(ToString::to_string).collect();
        seen.sightings.insert("a".to_owned(), Sighting { at: seen.now, by });
    }
    let status = conclude(&seen, &Refused::new()).0?;
    fed.status = status;
    let it = &fed.status.members[0];
    Some((it.last_seen.unwrap().as_second() - NOON.as_second(), it.seen_by.clone()))
}

#[test]
fn a_member_that_is_seen_again_and_again_is_written_once_a_minute() {
    let mut fed = federation("fed", 1, &["a"]);
    let by = |it: &[&str]| it.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(last_seen(&mut fed, 0, &["hub", "b"]), Some((0, by(&["hub", "b"]))));
    assert_eq!(last_seen(&mut fed, 59, &["hub"]), None);
    assert_eq!(last_seen(&mut fed, 60, &["hub"]), Some((60, by(&["hub"]))));
    // Nobody sees it any more: when it was seen last stays.
    assert_eq!(last_seen(&mut fed, 600, &[]), None);
    assert_eq!(fed.status.members[0].seen_by, by(&["hub"]));
    assert_eq!(fed.status.ready, "1/1");
}
