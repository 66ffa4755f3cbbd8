//! What commands make of what they are given; of `apply` and `why` kubectl is the measure.

mod common;

use std::{fs, process::Output};

use common::{Kubectl, SOON, kogge, up, up_with};
use kogge_testkit::{Process, process::Leash};
use serde_json::Value;

/// The second is refused and the third of no kind that is served.
const OBJECTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: first}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: Second_One}
---
apiVersion: example.com/v1
kind: Unheard
metadata: {name: third}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fourth}
";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(fleet: &Kubectl, words: &[&str]) -> Output {
    let mut command = kogge();
    command.args(words).arg("--kubeconfig").arg(&fleet.kubeconfig);
    command.output().expect("kogge runs")
}

#[test]
fn refused_objects_do_not_hold_up_others_and_kinds_have_all_their_names() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("data");
    let Some(fleet) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let process = up(&data);

    let file = dir.path().join("objects.yaml");
    fs::write(&file, OBJECTS).expect("written");
    let output = run(&fleet, &["apply", "-f", file.to_str().expect("text")]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success(), "{out}{err}");
    let applied = "configmap/first -n default applied\nconfigmap/fourth -n default applied\n";
    assert_eq!(out, applied, "{err}");
    for refused in ["Second_One", "unheard.example.com/third", "2 objects were not applied"] {
        assert!(err.contains(refused), "{refused}: {err}");
    }
    fleet.ok(&["get", "configmap", "first", "fourth"]);

    let long = fleet.why("deploy/web", "my-project");
    let verdict = |said: &str| said.lines().next().map(str::to_owned);
    for word in ["deploy.apps/web", "deploy.v1.apps/web", "deployments.v1.apps/web"] {
        assert_eq!(verdict(&fleet.why(word, "my-project")), verdict(&long), "{word}");
    }
    fleet.why("cm.v1./first", "default");
    let output = run(&fleet, &["why", "deploy.v9.apps/web", "-n", "my-project"]);
    let said = text(&output.stderr);
    assert!(said.contains("serves no kind called deploy.v9.apps"), "{said}");
    drop(process);
}

#[test]
fn nodes_that_cannot_be_are_refused_before_anything_is_made() {
    let refused = |words: &[&str], flag: &str| {
        let mut command = kogge();
        command.args(["sim", "nodes", "--kubeconfig", "nowhere"]).args(words);
        let output = command.output().expect("kogge runs");
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(flag), "{words:?}: {said}");
    };
    refused(&["--cpu", "lots"], "--cpu");
    refused(&["--memory", "0"], "--memory");
    refused(&["--group", "No_Name"], "--group");
    refused(&["--nodes", "20"], "--nodes 20 is more than --max 10");
}

#[test]
fn a_node_group_that_is_there_is_told_as_it_is() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("data");
    let running = up_with(&data, &["--members", "1"], &[]);
    let mut command = kogge();
    command.args(["sim", "nodes", "--context", "member1", "--group", "default", "--nodes", "7"]);
    command.arg("--kubeconfig").arg(data.join("kubeconfig"));
    let log = dir.path().join("nodes.log");
    let mut nodes = Process::spawn("nodes", command, &log, Leash::Watchdog).expect("it starts");
    nodes.wait_log("stays as it is: 1 node, at most 10, of cpu 4 and memory 16Gi", SOON);
    drop((nodes, running));
}

#[test]
fn a_simulated_fleet_says_how_fast_and_how_dear_its_gossip_is() {
    let words = ["--members", "50", "--loss", "0.1", "--seed", "7", "-o", "json"];
    let output = kogge().args(["sim", "gossip"]).args(words).output().expect("kogge runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // What is possible at all, on links of 10 to 40 ms that lose one datagram of ten.
    let bounds = [
        ("allKnowSeconds", 1.0, 10.0),
        ("copiesPerMember", 1.0, 10.0),
        ("falseDeaths", 0.0, 0.0),
        ("firstDetectionSeconds", 1.0, 10.0),
        ("healSeconds", 0.1, 30.0),
        ("idleBytesPerSecond", 10.0, 1_000.0),
        ("joinSeconds", 0.1, 30.0),
        ("missed", 0.0, 0.0),
        ("timeToAllSeconds", 0.02, 5.0),
    ];
    let keys: Vec<&str> =
        figures.as_object().expect("figures").keys().map(String::as_str).collect();
    assert_eq!(keys, bounds.map(|it| it.0));
    for (key, least, most) in bounds {
        let figure = figures[key].as_f64().unwrap_or(-1.0);
        assert!((least..=most).contains(&figure), "{key}: {figures:#}");
    }
}
