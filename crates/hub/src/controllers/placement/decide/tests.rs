use super::super::binding::CLUSTER_POLICY_NAME;
use super::*;

fn seen(binding: Option<Value>) -> Observed {
    let template = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": {"replicas": 2}});
    let policy = Policy {
        namespace: None,
        name: "all".into(),
        spec: serde_json::from_value(json!({"placement": {"clusterAffinity": {}}}))
            .unwrap_or_default(),
    };
    Observed {
        template: Some(template),
        policy: Some(policy),
        clusters: Arc::default(),
        rooms: BTreeMap::new(),
        binding,
    }
}

#[test]
fn a_binding_that_says_the_same_is_not_written_again() {
    let plan = decide(&seen(None));
    let Some(Effect::CreateBinding { annotations, spec }) = plan.effects.first() else {
        panic!("{plan:?}");
    };
    assert_eq!(spec["placement"], json!({"clusterAffinity": {}}));
    let stored = json!({"metadata": {"annotations": annotations}, "spec": spec});
    let writes =
        |plan: &Plan| plan.effects.iter().filter(|it| !matches!(it, Effect::Say { .. })).count();
    assert_eq!(writes(&decide(&seen(Some(stored.clone())))), 0);
    let mut other = stored;
    other["spec"]["replicas"] = 3.into();
    assert_eq!(writes(&decide(&seen(Some(other)))), 1);
}

fn placed(on: &[&str]) -> Value {
    let clusters: Vec<Value> = on.iter().map(|it| json!({"name": it, "replicas": 2})).collect();
    json!({"metadata": {}, "spec": {"clusters": clusters}})
}

/// The plan must write no binding.
#[track_caller]
fn check_kept(seen: &Observed, scheduled: bool, reason: &str, words: &[&str]) {
    let plan = decide(seen);
    assert!(plan.effects.iter().all(|it| matches!(it, Effect::Say { .. })), "{plan:?}");
    let decision = plan.decision.expect("a decision that says why");
    assert_eq!((decision.scheduled, decision.reason.as_str()), (scheduled, reason));
    for it in words {
        assert!(decision.message.contains(it), "{} lacks {it}", decision.message);
    }
}

#[test]
fn what_no_policy_selects_any_more_stays_where_it_is() {
    let mut unselected = Observed { policy: None, ..seen(Some(placed(&["eu", "us"]))) };
    let words = ["on eu, us", "delete the object"];
    check_kept(&unselected, true, "PolicyGone", &words);
    if let Some(binding) = &mut unselected.binding {
        binding["status"] = json!({"conditions": [{"type": "Scheduled", "status": "False"}]});
    }
    check_kept(&unselected, false, "PolicyGone", &words);
    let nowhere = Observed { policy: None, ..seen(None) };
    assert_eq!(decide(&nowhere), Plan::default());
}

#[test]
fn what_no_policy_selects_any_more_moves_off_a_cluster_that_leaves() {
    let cluster = |name: &str, deleting| Cluster {
        name: name.into(),
        ready: true,
        deleting,
        ..Cluster::default()
    };
    let mut binding = placed(&["eu"]);
    binding["metadata"]["annotations"] = json!({ CLUSTER_POLICY_NAME: "all" });
    binding["spec"]["placement"] = json!({"clusterAffinity": {"clusterNames": ["eu", "us"]}});
    let mut seen = Observed { policy: None, ..seen(Some(binding)) };
    let moved_to = |seen: &Observed| -> Vec<String> {
        let plan = decide(seen);
        let spec = plan.effects.iter().find_map(|it| match it {
            Effect::UpdateBinding { spec, .. } => Some(spec.clone()),
            _ => None,
        });
        previous(spec.map(|it| json!({ "spec": it })).as_ref()).into_keys().collect()
    };
    let clusters = |leaves| Arc::new(vec![cluster("eu", leaves), cluster("us", false)]);
    seen.clusters = clusters(false);
    assert_eq!(moved_to(&seen), [""; 0]);
    seen.clusters = clusters(true);
    assert_eq!(moved_to(&seen), ["us"]);
    // Nowhere else to go: it stays, and the cluster waits.
    seen.clusters = Arc::new(vec![cluster("eu", true), cluster("cn", false)]);
    assert_eq!(moved_to(&seen), [""; 0]);
}

#[test]
fn what_is_deleted_loses_its_binding() {
    let deleted = Observed { template: None, ..seen(Some(placed(&["eu"]))) };
    assert_eq!(decide(&deleted).effects, [Effect::DeleteBinding]);
    let both = Observed { policy: None, ..deleted };
    assert_eq!(decide(&both).effects, [Effect::DeleteBinding]);
}

#[test]
fn a_policy_that_holds_something_back_places_nothing() {
    let withheld = |binding: Option<Value>| {
        let mut seen = seen(binding);
        if let Some(policy) = &mut seen.policy {
            policy.spec.preserve_resources_on_deletion = Some(true);
            policy.spec.suspension = Some(json!({"dispatching": true}));
        }
        seen.clusters =
            Arc::new(vec![Cluster { name: "eu".into(), ready: true, ..Cluster::default() }]);
        seen
    };
    let words = ["spec.suspension.dispatching, spec.preserveResourcesOnDeletion"];
    check_kept(&withheld(Some(placed(&["us"]))), false, "Unsupported", &words);
    let plan = decide(&withheld(None));
    let Some(Effect::CreateBinding { spec, .. }) = plan.effects.first() else {
        panic!("{plan:?}");
    };
    assert_eq!(spec.get("clusters").cloned().unwrap_or(json!([])), json!([]));
}

/// A Deployment of two replicas, divided, with all of them on `eu`, which failed.
fn failed(others: &[&str]) -> Observed {
    let mut seen = seen(Some(json!({"metadata": {}, "spec": {
        "clusters": [{"name": "eu", "replicas": 2}],
        "gracefulEvictionTasks": [{"fromCluster": "eu", "purgeMode": "Gracefully",
            "message": "10 s after eu was dead"}]}})));
    let cluster = |it: &&str| Cluster { name: (*it).into(), ready: true, ..Cluster::default() };
    let mut clusters: Vec<Cluster> = others.iter().map(cluster).collect();
    clusters.push(Cluster { name: "eu".into(), ..Cluster::default() });
    seen.clusters = Arc::new(clusters);
    if let Some(policy) = &mut seen.policy {
        policy.spec.placement.replica_scheduling =
            Some(kogge_placement::policy::ReplicaScheduling::default());
    }
    seen
}

#[test]
fn what_failed_is_left_in_one_write_and_the_move_is_told() {
    let plan = decide(&failed(&["us"]));
    let Some(Effect::UpdateBinding { spec, .. }) = plan.effects.first() else { panic!("{plan:?}") };
    assert_eq!(spec["clusters"], json!([{"name": "us", "replicas": 2}]));
    assert_eq!(spec["gracefulEvictionTasks"][0]["fromCluster"], "eu");
    let message = "moved from eu to us (+2) 10 s after eu was dead".to_owned();
    assert_eq!(plan.effects.last(), Some(&Effect::SayMoved { from: "eu".into(), message }));
    let said = plan.decision.map(|it| it.message).unwrap_or_default();
    assert!(said.contains("not on eu: it was moved off there 10 s after eu was dead"), "{said}");
}

#[test]
fn what_has_nowhere_to_go_keeps_its_place() {
    let plan = decide(&failed(&[]));
    let Some(Effect::UpdateBinding { spec, .. }) = plan.effects.first() else { panic!("{plan:?}") };
    assert_eq!(spec["clusters"], json!([{"name": "eu", "replicas": 2}]));
    let told = plan.effects.iter().any(|it| matches!(it, Effect::SayMoved { .. }));
    assert!(!told, "{plan:?}");
}

#[track_caller]
fn check_elsewhere(seen: &Observed, want: Result<(), &str>) {
    let got = could_leave(seen, &["eu".to_owned()].into());
    match want {
        Ok(()) => assert_eq!(got, Ok(())),
        Err(words) => assert!(got.as_ref().is_err_and(|it| it.contains(words)), "{got:?}"),
    }
}

#[test]
fn a_copy_of_all_moves_only_where_there_is_none_yet() {
    check_elsewhere(&failed(&["us"]), Ok(()));
    check_elsewhere(&failed(&[]), Err("0/1 clusters are available"));
    let mut duplicated = failed(&["us"]);
    if let Some(policy) = &mut duplicated.policy {
        policy.spec.placement.replica_scheduling = None;
    }
    check_elsewhere(&duplicated, Ok(()));
    if let Some(binding) = &mut duplicated.binding {
        binding["spec"]["clusters"] = json!([{"name": "eu"}, {"name": "us"}]);
    }
    check_elsewhere(&duplicated, Err("it runs already on every other cluster"));
    let unselected = Observed { policy: None, ..failed(&["us"]) };
    check_elsewhere(&unselected, Err("no policy says where"));
}
