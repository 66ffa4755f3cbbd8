use proptest::prelude::*;

use super::*;
use crate::json::{condition, text};

fn now() -> Timestamp {
    "2024-01-01T00:00:30Z".parse().unwrap()
}

fn template<'a>(kind: &'a str, divided: bool, replicas: u32, status: &'a Value) -> Template<'a> {
    let group = if kind == "Job" { "batch" } else { "apps" };
    Template { group, kind, generation: 4, replicas: Some(replicas), divided, status }
}

fn healthy(replicas: u32) -> Value {
    json!({"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        "updatedReplicas": replicas, "conditions": [{"type": "Available", "status": "True"}]})
}

fn report<'a>(cluster: &'a str, replicas: u32, status: Option<&'a Value>) -> Report<'a> {
    Report { cluster, replicas: Some(replicas), status, observed: status.is_some() }
}

fn message<'a>(status: &'a Value, kind: &str) -> &'a str {
    text(condition(status, kind).unwrap(), "/message")
}

#[test]
fn divided_replicas_are_summed_and_counted_by_cluster() {
    let (two, one) = (healthy(2), healthy(1));
    let none = json!({});
    let reports = [
        report("member1", 2, Some(&two)),
        report("member2", 2, Some(&two)),
        report("member3", 1, Some(&one)),
    ];
    let got = aggregate(&template("Deployment", true, 5, &none), &reports, now()).unwrap();
    assert_eq!(got["replicas"], 5);
    assert_eq!(got["availableReplicas"], 5);
    assert_eq!(got["observedGeneration"], 4);
    insta::assert_snapshot!(message(&got, "Available"), @"available on 3 of 3 clusters: member1 2/2, member2 2/2, member3 1/1");
    assert_eq!(condition(&got, "Progressing").unwrap()["reason"], "NewReplicaSetAvailable");
    assert_eq!(condition(&got, "Available").unwrap()["lastTransitionTime"], "2024-01-01T00:00:30Z");
}

#[test]
fn duplicated_replicas_are_those_of_the_cluster_furthest_behind() {
    let (all, some) = (healthy(3), healthy(1));
    let none = json!({});
    let reports = [report("a", 3, Some(&all)), report("b", 3, Some(&some))];
    let got = aggregate(&template("Deployment", false, 3, &none), &reports, now()).unwrap();
    assert_eq!(got["replicas"], 3);
    assert_eq!(got["readyReplicas"], 1);
    assert_eq!(got["updatedReplicas"], 1);
    insta::assert_snapshot!(message(&got, "Progressing"), @"rolled out on 1 of 2 clusters: a 3/3, b 1/3");
}

#[test]
fn the_generation_is_observed_when_every_cluster_has_said_so() {
    let two = healthy(2);
    let before = json!({"observedGeneration": 3, "conditions": [
        {"type": "Available", "status": "False", "lastTransitionTime": "2024-01-01T00:00:00Z"}]});
    let reports = [report("a", 2, Some(&two)), report("b", 2, None)];
    let got = aggregate(&template("Deployment", true, 4, &before), &reports, now()).unwrap();
    assert_eq!(got["observedGeneration"], 3);
    let available = condition(&got, "Available").unwrap();
    assert_eq!(available["status"], "False");
    assert_eq!(available["lastTransitionTime"], "2024-01-01T00:00:00Z");
    insta::assert_snapshot!(message(&got, "Available"), @"available on 1 of 2 clusters: a 2/2, b 0/2");
}

#[test]
fn a_rollout_that_is_stuck_somewhere_is_stuck() {
    let stuck = json!({"replicas": 2, "conditions": [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
    let (two, none) = (healthy(2), json!({}));
    let reports = [report("a", 2, Some(&two)), report("b", 2, Some(&stuck))];
    let got = aggregate(&template("Deployment", true, 4, &none), &reports, now()).unwrap();
    insta::assert_snapshot!(message(&got, "Progressing"), @"no progress on b; rolled out on 1 of 2 clusters: a 2/2, b 0/2");
}

#[test]
fn aggregating_what_did_not_change_changes_nothing() {
    let (two, none) = (healthy(2), json!({}));
    let reports = [report("a", 2, Some(&two))];
    let first = aggregate(&template("Deployment", true, 2, &none), &reports, now()).unwrap();
    let later = "2025-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(
        aggregate(&template("Deployment", true, 2, &first), &reports, later),
        Some(first.clone())
    );
}

#[test]
fn a_stateful_set_is_updated_when_it_is_everywhere() {
    let done = json!({"currentRevision": "x", "updateRevision": "x"});
    let busy = json!({"currentRevision": "w", "updateRevision": "x"});
    let none = json!({});
    let set = template("StatefulSet", true, 2, &none);
    let got = aggregate(&set, &[report("a", 1, Some(&done)), report("b", 1, Some(&busy))], now())
        .unwrap();
    assert_ne!(got["currentRevision"], got["updateRevision"]);
    let got = aggregate(&set, &[report("a", 1, Some(&done)), report("b", 1, Some(&done))], now())
        .unwrap();
    assert_eq!(got["currentRevision"], got["updateRevision"]);
}

#[test]
fn a_job_is_complete_when_all_are_and_failed_when_one_is() {
    let complete = json!({"succeeded": 1, "startTime": "2024-01-01T00:00:01Z", "completionTime": "2024-01-01T00:00:09Z",
        "conditions": [{"type": "Complete", "status": "True"}]});
    let failed = json!({"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]});
    let none = json!({});
    let job = template("Job", false, 1, &none);
    let got =
        aggregate(&job, &[report("a", 1, Some(&complete)), report("b", 1, Some(&complete))], now())
            .unwrap();
    insta::assert_snapshot!(message(&got, "Complete"), @"complete on a, b");
    assert_eq!(
        (got["succeeded"].as_u64(), &got["completionTime"]),
        (Some(1), &json!("2024-01-01T00:00:09Z"))
    );
    let got =
        aggregate(&job, &[report("a", 1, Some(&complete)), report("b", 1, Some(&failed))], now())
            .unwrap();
    assert!(condition(&got, "Complete").is_none());
    insta::assert_snapshot!(message(&got, "Failed"), @"failed on b");
}

#[track_caller]
fn check_phase(kind: &str, phases: &[&str], want: &str) {
    let none = json!({});
    let template = Template { group: "", kind, ..template("", false, 1, &none) };
    let statuses: Vec<Value> = phases.iter().map(|it| json!({"phase": it})).collect();
    let reports: Vec<Report<'_>> = statuses.iter().map(|it| report("a", 1, Some(it))).collect();
    assert_eq!(aggregate(&template, &reports, now()).unwrap()["phase"], want);
}

#[test]
fn phases_are_the_worst_of_the_clusters() {
    check_phase("PersistentVolumeClaim", &["Bound", "Bound"], "Bound");
    check_phase("PersistentVolumeClaim", &["Bound", "Pending"], "Pending");
    check_phase("PersistentVolumeClaim", &["Lost", "Pending"], "Lost");
    check_phase("PersistentVolumeClaim", &["Bound", ""], "Pending");
    check_phase("Pod", &["Running", "Succeeded"], "Running");
    check_phase("Pod", &["Running", "Failed"], "Failed");
}

#[test]
fn addresses_of_all_clusters_are_shown_once() {
    let a = json!({"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}]}});
    let b = json!({"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]}});
    let none = json!({});
    let service = Template { group: "", kind: "Service", ..template("", false, 1, &none) };
    let got =
        aggregate(&service, &[report("a", 1, Some(&a)), report("b", 1, Some(&b))], now()).unwrap();
    assert_eq!(got, json!({"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]}}));
}

#[test]
fn kinds_without_a_rule_have_no_status() {
    let none = json!({});
    let other = Template { group: "", kind: "ConfigMap", ..template("", false, 1, &none) };
    assert_eq!(aggregate(&other, &[report("a", 1, Some(&none))], now()), None);
    assert_eq!(aggregate(&template("Deployment", true, 1, &none), &[], now()), None);
    assert!(is_aggregated("apps", "Deployment") && !is_aggregated("", "ConfigMap"));
}

proptest! {
    #[test]
    fn divided_sums_and_duplicated_never_exceeds_a_cluster(
        counts in prop::collection::vec(0_u32..100, 1..6),
        divided: bool,
    ) {
        let statuses: Vec<Value> = counts.iter().map(|it| healthy(*it)).collect();
        let reports: Vec<Report<'_>> =
            statuses.iter().zip(&counts).map(|(status, n)| report("a", *n, Some(status))).collect();
        let none = json!({});
        let got = aggregate(&template("Deployment", divided, 7, &none), &reports, now()).unwrap();
        let want = if divided { counts.iter().sum::<u32>() } else { *counts.iter().min().unwrap() };
        prop_assert_eq!(&got["readyReplicas"], &json!(want));
    }
}
