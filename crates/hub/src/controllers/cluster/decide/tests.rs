use super::*;

fn access() -> Access {
    Access::Kubeconfig { server: "https://a".into(), text: String::new() }
}

fn cluster(ready: Result<(), Unready>) -> Observed {
    Observed {
        now: Timestamp::UNIX_EPOCH,
        cluster: Some(Cluster::default()),
        deleted: None,
        twin: None,
        access: Ok(access()),
        running: Some(access()),
        state: Some(ClusterState { ready: Some(ready), ..ClusterState::default() }),
        held: None,
        heard: None,
        carrier: None,
        since: Timestamp::UNIX_EPOCH,
        recovering: None,
        was_removed: false,
        given_back: false,
    }
}

fn unready(reason: &'static str) -> Result<(), Unready> {
    Err(Unready { reason: reason.into(), message: "no".into() })
}

/// Writes the status that a plan sets; returns the plan's other effects.
fn play(seen: &mut Observed) -> Vec<Effect> {
    let plan = decide(seen);
    let (statuses, others): (Vec<_>, Vec<_>) =
        plan.effects.into_iter().partition(|it| matches!(it, Effect::SetStatus(_)));
    for status in statuses {
        if let (Effect::SetStatus(status), Some(cluster)) = (status, &mut seen.cluster) {
            cluster.status = *status;
        }
    }
    others
}

#[test]
fn a_cluster_that_is_back_is_spoken_to_over_new_connections() {
    let mut seen = cluster(unready(UNREACHABLE));
    assert_eq!(play(&mut seen), []);
    seen.state = cluster(Ok(())).state;
    assert_eq!(play(&mut seen), [Effect::RenewConnections]);
    assert_eq!(decide(&seen), Plan::default());
    seen.state = cluster(unready("ClusterNotReady")).state;
    play(&mut seen);
    seen.state = cluster(Ok(())).state;
    assert_eq!(play(&mut seen), [], "it was reached all the time");
}

#[test]
fn refused_credentials_name_the_command_that_helps() {
    let mut seen = cluster(unready("CredentialsRefused"));
    play(&mut seen);
    let conditions = seen.cluster.map(|it| it.status.conditions).unwrap_or_default();
    let ready = find_condition(&conditions, "Ready").map(|it| it.message.as_str());
    let want = "no; for new credentials, run: kogge join  --cluster-kubeconfig FILE";
    assert_eq!(ready, Some(want));
}

fn condition(seen: &Observed, kind: &str) -> Condition {
    let conditions = seen.cluster.as_ref().map(|it| &it.status.conditions[..]);
    find_condition(conditions.unwrap_or_default(), kind).cloned().expect("the condition is set")
}

fn named(name: &str) -> Cluster {
    let mut cluster = Cluster::default();
    cluster.metadata.name = name.to_owned();
    cluster
}

#[test]
fn a_reason_that_an_agent_gives_is_shown_as_it_is() {
    let mut seen = cluster(unready("OwnedByAnotherHub"));
    assert_eq!(play(&mut seen), []);
    let ready = condition(&seen, "Ready");
    let said = (ready.status, ready.reason.as_str(), ready.message.as_str());
    assert_eq!(said, (False, "OwnedByAnotherHub", "no"));
}

#[test]
fn what_is_held_names_the_command_and_goes_on_once_approved() {
    let mut seen = cluster(Ok(()));
    seen.cluster = Some(named("eu"));
    seen.held = Some((12, 20));
    assert_eq!(play(&mut seen), []);
    let held = condition(&seen, "DeletionsHeld");
    let command = "kubectl annotate cluster eu kogge.dev/approve-deletions=true";
    assert!(held.is_true() && held.message.contains(command), "{}", held.message);
    approve(&mut seen, "true");
    assert_eq!(play(&mut seen), [Effect::ApproveDeletions, Effect::UseUpApproval]);
    assert_eq!(condition(&seen, "DeletionsHeld").status, False);
    seen.held = None;
    approve(&mut seen, "true");
    let effects = play(&mut seen);
    assert_eq!(effects[0], Effect::UseUpApproval, "{effects:?}");
    assert!(!effects.contains(&Effect::ApproveDeletions), "nothing was held: {effects:?}");
}

#[test]
fn deletions_that_are_no_longer_held_are_said_to_be_none() {
    let mut seen = cluster(Ok(()));
    seen.held = Some((12, 20));
    play(&mut seen);
    seen.held = None;
    play(&mut seen);
    assert_eq!(condition(&seen, "DeletionsHeld").reason, "NothingHeld");
}

fn approve(seen: &mut Observed, word: &str) {
    let annotations = seen.cluster.as_mut().map(|it| &mut it.metadata.annotations);
    annotations.expect("a cluster").insert(APPROVE_DELETIONS.into(), word.into());
}

#[test]
fn the_same_cluster_joins_once() {
    let mut seen = cluster(Ok(()));
    if let Some(state) = &mut seen.state {
        state.uid = "1234".into();
    }
    assert_eq!(play(&mut seen), [Effect::SetId("1234".into())]);
    if let Some(cluster) = &mut seen.cluster {
        cluster.spec.id = "1234".into();
    }
    assert_eq!(decide(&seen), Plan::default());
    seen.twin = Some("eu-1".into());
    assert_eq!(play(&mut seen), [Effect::StopAgent]);
    let ready = condition(&seen, "Ready");
    assert_eq!((ready.status, ready.reason.as_str()), (False, "Duplicate"));
    assert!(ready.message.starts_with("eu-1 is the same cluster"), "{}", ready.message);
    seen.running = None;
    assert_eq!(decide(&seen), Plan::default());
}

#[track_caller]
fn check_farewell(secret: Option<(&str, &str)>, removed: bool, words: &str) {
    let mut deleted = named("eu");
    deleted.spec.secret_ref = secret.map(|(namespace, name)| kogge_api::LocalReference {
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    });
    let gone = Observed { cluster: None, deleted: Some(deleted), ..cluster(Ok(())) };
    let effects = decide(&gone).effects;
    let is_removal = |it: &Effect| matches!(it, Effect::RemoveSecret(_));
    assert_eq!(effects.iter().any(is_removal), removed, "{effects:?}");
    let Some(Effect::Say { message, .. }) = effects.last() else { panic!("{effects:?}") };
    assert!(message.contains("kogge-system") && message.contains(words), "{message}");
    let back = Observed { cluster: Some(named("eu")), ..gone };
    assert!(!decide(&back).effects.iter().any(is_removal), "it joined again");
}

#[test]
fn who_is_deleted_takes_its_secret_along_and_says_what_stays() {
    check_farewell(Some(("kogge-system", "cluster-eu")), true, "go on running");
    check_farewell(Some(("shop", "mine")), false, "so is Secret shop/mine here");
    check_farewell(None, false, "go on running");
}

fn pulled(heard: Option<i64>, now: i64) -> Observed {
    let mut seen = cluster(Ok(()));
    let mut cluster = named("eu");
    cluster.spec.sync_mode = SyncMode::Pull;
    seen.cluster = Some(cluster);
    (seen.access, seen.running) = (Err(Missing { reason: "None", message: "none".into() }), None);
    let at = |second| Timestamp::from_second(second).expect("small numbers");
    (seen.heard, seen.now) = (heard.map(at), at(now));
    seen
}

#[track_caller]
fn check_pulled(mut seen: Observed, want: &str) -> Condition {
    assert_eq!(play(&mut seen), []);
    let ready = condition(&seen, "Ready");
    assert_eq!(ready.reason, want, "{}", ready.message);
    ready
}

#[test]
fn a_cluster_whose_agent_dials_is_ready_until_its_agent_is_silent() {
    check_pulled(pulled(Some(100), 110), "ClusterReady");
    let silent = check_pulled(pulled(Some(100), 111), "AgentSilent");
    assert_eq!(silent.status, Unknown);
    assert!(silent.message.contains("last heard at 1970-01-01T00:01:40Z"), "{}", silent.message);
    let never = check_pulled(pulled(None, 11), "AgentSilent");
    assert!(never.message.contains("since the hub started"), "{}", never.message);
}

#[test]
fn a_hub_that_has_just_started_leaves_what_it_said_before() {
    let mut seen = pulled(Some(100), 101);
    play(&mut seen);
    (seen.heard, seen.state) = (None, None);
    seen.since = seen.now;
    check_pulled(seen, "ClusterReady");
    let mut new = pulled(None, 1);
    new.state = None;
    check_pulled(new, "Connecting");
}

#[test]
fn an_agent_that_dials_is_forgotten_with_its_cluster() {
    let mut seen = pulled(Some(100), 101);
    seen.deleted = seen.cluster.take();
    let effects = play(&mut seen);
    assert!(matches!(&effects[..], [Effect::Forget, Effect::Say { .. }]), "{effects:?}");
}

#[track_caller]
fn check_adoption(given_back: bool, was_removed: bool, recovering: bool, want: &[Effect]) {
    let mut seen = cluster(Ok(()));
    if let Some(it) = &mut seen.cluster {
        it.metadata.uid = "u".into();
    }
    (seen.given_back, seen.was_removed) = (given_back, was_removed);
    seen.recovering = recovering.then(|| "waits".into());
    assert_eq!(play(&mut seen), [], "it was never adopted");
    if let Some(it) = &mut seen.cluster {
        it.metadata.annotations.insert(crate::pull::adopt::ADOPTED.into(), "now".into());
    }
    assert_eq!(play(&mut seen), want);
}

#[test]
fn an_adoption_ends_by_a_persons_word_and_is_undone_by_the_fleets() {
    for recovering in [false, true] {
        check_adoption(false, false, recovering, &[]);
        check_adoption(false, true, recovering, &[Effect::LetGo("u".into())]);
    }
    // Later a Cluster alone says nothing of what the hub holds of its objects.
    check_adoption(true, false, false, &[]);
    check_adoption(true, true, false, &[Effect::LetGo("u".into())]);
    check_adoption(true, false, true, &[Effect::EndAdoption]);
    check_adoption(true, true, true, &[Effect::EndAdoption]);
}
