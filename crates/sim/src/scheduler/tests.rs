use serde_json::{Value, json};

use super::state::{State, Verdict};

fn node(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "110"}}})
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}})
}

#[track_caller]
fn check(state: &State, want: &[(&str, Verdict)]) {
    let got: Vec<_> =
        state.decide().into_iter().map(|(it, verdict)| (it.name.clone(), verdict)).collect();
    let want: Vec<_> =
        want.iter().map(|(it, verdict)| ((*it).to_owned(), verdict.clone())).collect();
    assert_eq!(got, want);
}

fn no(why: &str) -> Verdict {
    Verdict::Unschedulable(why.to_owned())
}

#[test]
fn pods_of_one_pass_see_each_other() {
    let mut state = State::default();
    for it in ["a", "b"] {
        state.note_node(&node(it, "1"));
    }
    for it in ["1", "2", "3"] {
        state.note_pod(&pod(it, "700m"));
    }
    let full = no("0/2 nodes are available: 2 Insufficient cpu.");
    check(
        &state,
        &[("1", Verdict::Bind("a".into())), ("2", Verdict::Bind("b".into())), ("3", full)],
    );
}

#[test]
fn a_claim_must_be_bound() {
    let mut state = State::default();
    state.note_node(&node("a", "1"));
    let mut it = pod("1", "1m");
    it["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
    state.note_pod(&it);
    check(
        &state,
        &[("1", no("0/1 nodes are available: persistentvolumeclaim \"data\" not found."))],
    );
    let mut claim = json!({"metadata": {"name": "data", "namespace": "shop"}});
    state.note_claim(&claim);
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    check(&state, &[("1", no(unbound))]);
    claim["status"] = json!({"phase": "Bound"});
    state.note_claim(&claim);
    check(&state, &[("1", Verdict::Bind("a".into()))]);
}

#[test]
fn a_claim_that_waits_for_its_pod_finds_no_volume() {
    let mut state = State::default();
    state.note_node(&node("a", "1"));
    state.note_class(
        &json!({"metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}),
    );
    let claim = |name: &str, class: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"storageClassName": class}});
    state.note_claim(&claim("data", "late"));
    let mut it = pod("1", "1m");
    it["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
    state.note_pod(&it);
    let none =
        "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.";
    check(&state, &[("1", no(none))]);
    it["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}},
        {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {}}}]);
    state.note_pod(&it);
    let missing = "0/1 nodes are available: persistentvolumeclaim \"1-tmp\" not found.";
    check(&state, &[("1", no(missing))]);
    state.note_claim(&claim("1-tmp", "soon"));
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    check(&state, &[("1", no(unbound))]);
}

#[test]
fn without_nodes_it_is_said_so() {
    let mut state = State::default();
    state.note_pod(&pod("1", "1m"));
    check(&state, &[("1", no("no nodes available to schedule pods"))]);
}
