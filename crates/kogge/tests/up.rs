//! `kogge up` as a user runs it: the built binary, kubectl, Git, and a kill at a bad moment.

mod common;

use std::{fs, path::Path};

use common::{Kubectl, SOON, kogge, up};
use jiff::Timestamp;
use kogge_git::{Author, commit_all};
use kogge_testkit::wait_until;
use serde_json::Value;

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "my-project"];

fn commit(repository: &Path, message: &str) {
    let author = Author { name: "test".into(), email: "test@localhost".into() };
    let time = Timestamp::from_second(1_800_000_000).expect("a time");
    commit_all(repository, message, &author, time).expect("committed");
}

fn on<'a>(context: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    ["--context", context].iter().chain(words).copied().collect()
}

/// The fleet as the hub sees it, or as another says.
fn gossip(kubectl: &Kubectl, words: &[&str]) -> Value {
    let mut command = kogge();
    command.args(["gossip", "-o", "json", "--kubeconfig"]).arg(&kubectl.kubeconfig).args(words);
    serde_json::from_slice(&command.output().expect("kogge runs").stdout).unwrap_or_default()
}

/// The hub and all three members, by the word of whoever is asked.
fn all_are_alive(view: &Value) -> bool {
    let members: Vec<&Value> = view["members"].as_array().into_iter().flatten().collect();
    let names: Vec<&str> = members.iter().filter_map(|it| it["name"].as_str()).collect();
    members.len() == 4
        && members.iter().all(|it| it["state"] == "Alive")
        && members.iter().any(|it| it["hub"] == true)
        && ["member1", "member2", "member3"].iter().all(|it| names.contains(it))
}

#[test]
fn a_fleet_follows_git_and_heals_what_is_changed_behind_its_back() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let Some(kubectl) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let fleet = up(&data);
    let repository = data.join("my-project");

    assert!(kubectl.ok(&["get", "clusters"]).contains("member3"));
    kubectl.ok(&["wait", "--for=condition=Available", "deploy/web", "-n", "my-project"]);
    kubectl.ok(&["rollout", "status", "deploy/web", "-n", "my-project", "--timeout=60s"]);

    // They gossip, and any of them is asked.
    wait_until(SOON, "all are alive to the hub", || {
        all_are_alive(&gossip(&kubectl, &[])).then_some(())
    });
    wait_until(SOON, "all are alive to member2", || {
        let view = gossip(&kubectl, &["--from", "member2"]);
        (view["from"] == "member2" && all_are_alive(&view)).then_some(())
    });

    // A commit reaches every member, and what leaves Git leaves them.
    let extra = repository.join("manifests/extra.yaml");
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: my-project}\n\
                  data: {colour: blue}\n";
    fs::write(&extra, object).expect("written");
    commit(&repository, "extra");
    let get = ["get", "configmap", "extra", "-n", "my-project", "-o", "jsonpath={.data.colour}"];
    for member in ["member1", "member2", "member3"] {
        kubectl.wait(&on(member, &get), "blue");
    }
    fs::remove_file(&extra).expect("removed");
    commit(&repository, "no extra");
    kubectl.wait_gone(&on("member2", &get));

    // A revision that cannot be read changes nothing, and says where it is wrong.
    let bad = repository.join("manifests/bad.yaml");
    fs::write(&bad, "a: [1\n").expect("written");
    commit(&repository, "bad");
    let ready = ["get", "kustomization", "-n", "kogge-system", "-o", "yaml"];
    let said = kubectl.wait(&ready, "BuildFailed");
    assert!(said.contains("manifests/bad.yaml:1"), "{said}");
    kubectl.ok(&WEB);
    fs::remove_file(&bad).expect("removed");
    commit(&repository, "good");

    // Deleted and edited on members: put back, and said.
    kubectl.ok(&on("member2", &["delete", "deploy", "web", "-n", "my-project", "--wait=false"]));
    let events = ["get", "events", "-n", "my-project"];
    kubectl.wait(&events, "on member2: deleted at");
    kubectl.wait(&on("member2", &WEB), "1/1");
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil"}]}}}}"#;
    kubectl.ok(&on("member1", &["patch", "deploy", "web", "-n", "my-project", "-p", patch]));
    kubectl.wait(&events, "changed by kubectl");
    let image = ["-o", "jsonpath={.spec.template.spec.containers[0].image}"];
    kubectl.wait(&[&on("member1", &WEB)[..], &image].concat(), "nginx:1.29");
    drop(fleet);
}

#[test]
fn a_fleet_that_was_killed_goes_on_and_keeps_its_directory_to_itself() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let Some(kubectl) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let mut fleet = up(&data);
    kubectl.ok(&["create", "namespace", "shop"]);
    kubectl.ok(&["create", "configmap", "kept", "-n", "shop", "--from-literal=a=b"]);

    let second = kogge().args(["up", "--data-dir"]).arg(&data).output().expect("kogge runs");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another process"), "{said}");
    let fresh = kogge().args(["up", "--fresh", "--yes", "--data-dir"]).arg(&data).output();
    assert!(!fresh.expect("kogge runs").status.success(), "a running fleet is not thrown away");

    fleet.kill().expect("killed");
    let mut fleet = up(&data);
    kubectl.ok(&["get", "configmap", "kept", "-n", "shop"]);
    kubectl.wait(&on("member3", &["get", "configmap", "kept", "-n", "shop"]), "kept");
    kubectl.wait(&WEB, "1/1");

    fleet.terminate().expect("signalled");
    let ended = fleet.wait_exit(SOON).expect("waited").expect("it stops when asked");
    assert!(ended.success(), "{ended}: {}", fleet.log_tail(20));
    // Its repository is the user's: it is there after the fleet is gone.
    wait_until(SOON, "the repository", || data.join("my-project/.git").exists().then_some(()));
}
