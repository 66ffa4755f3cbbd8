//! The same on real Kubernetes: clusters join, run what the fleet is told, heal, and leave.

mod common;

use std::{path::Path, process::Output, time::Duration};

use common::{Kubectl, SOON, kogge};
use kogge_testkit::{
    Process,
    kube::{self, Cluster, Options},
    process::Leash,
    wait_until,
};

const POLICY: &str = r#"{"apiVersion": "policy.karmada.io/v1alpha1",
"kind": "ClusterPropagationPolicy", "metadata": {"name": "all"},
"spec": {"resourceSelectors": [{"apiVersion": "*", "kind": "*"}],
    "placement": {"clusterAffinity": {}}}}"#;

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

struct Fleet {
    hub: Process,
    kubectl: Kubectl,
}

impl Fleet {
    fn run(&self, words: &[&str]) -> Output {
        let kubeconfig = &self.kubectl.kubeconfig;
        kogge().args(words).arg("--kubeconfig").arg(kubeconfig).output().expect("kogge runs")
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kogge {words:?}: {said}\n{}", self.hub.log_tail(20));
    }
}

fn hub(dir: &Path) -> Option<Fleet> {
    let data = dir.join("hub-data");
    let kubectl = Kubectl::or_skip(data.join("kubeconfig"))?;
    let mut command = kogge();
    command.args(["hub", "--port", "0", "--data-dir"]).arg(&data);
    let mut hub = Process::spawn("hub", command, &dir.join("hub.log"), Leash::Watchdog)
        .expect("the hub starts");
    hub.wait_log("kogge join", SOON);
    Some(Fleet { hub, kubectl })
}

fn sim_nodes(dir: &Path, name: &str, cluster: &Cluster) -> Process {
    let mut command = kogge();
    command.args(["sim", "nodes", "--nodes", "2", "--kubeconfig"]).arg(cluster.kubeconfig());
    let log = dir.join(format!("{name}-nodes.log"));
    Process::spawn("sim nodes", command, &log, Leash::Watchdog).expect("sim nodes starts")
}

fn path(it: &Path) -> &str {
    it.to_str().expect("temporary paths are text")
}

const AUTOSCALER: &str = r#"{"apiVersion": "autoscaling/v1beta2",
"kind": "ClusterAutoscaler", "metadata": {"name": "kubernetes-autoscaler"},
"spec": {"scaleDownUnneededWorkloads": true, "scaleDownUnneededTime": "2s",
    "nodeSelector": {"beta.kubernetes.io/os": "linux"},
    "minAvailable": 1, "maxAvailable": 4, "minPods": 2, "maxPods": 50}}"#;

/// Nodes come for pods that wait, and all but one go when nothing needs them.
fn nodes_follow_pods(hub: &Kubectl, dir: &Path) {
    let autoscaler = dir.join("autoscaler.json");
    std::fs::write(&autoscaler, AUTOSCALER).expect("written");
    hub.ok(&["apply", "-f", path(&autoscaler)]);
    let counts = [
        "get",
        "clusterautoscalers",
        "-o",
        "jsonpath={.items[0].status.clusters[*].currentNodeCount}",
    ];
    hub.ok(&["set", "resources", "deploy/web", "-n", "shop", "--requests=cpu=1500m"]);
    hub.ok(&["scale", "deploy/web", "-n", "shop", "--replicas=8"]);
    hub.wait(&counts, "4 4");
    hub.wait(&WEB, "8/8");
    hub.ok(&["scale", "deploy/web", "-n", "shop", "--replicas=2"]);
    hub.wait(&counts, "1 1");
    hub.wait(&WEB, "2/2");
}

#[test]
fn real_clusters_join_run_heal_and_leave() {
    let Some(binary) = kube::or_skip() else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(fleet) = hub(dir.path()) else { return };
    let start = |name: &str| Cluster::start(&binary, &Options::named(name)).expect("a cluster");
    let clusters = [("cluster1", start("cluster1")), ("cluster2", start("cluster2"))];
    let nodes: Vec<Process> =
        clusters.iter().map(|(name, it)| sim_nodes(dir.path(), name, it)).collect();
    for (name, cluster) in &clusters {
        fleet.ok(&["join", name, "--cluster-kubeconfig", path(cluster.kubeconfig())]);
    }
    let twice =
        fleet.run(&["join", "other", "--cluster-kubeconfig", path(clusters[0].1.kubeconfig())]);
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(said.contains("is a member already, as cluster1"), "{said}");

    let hub = &fleet.kubectl;
    hub.ok(&["wait", "--for=condition=Ready", "cluster/cluster1", "cluster/cluster2"]);
    let policy = dir.path().join("policy.json");
    std::fs::write(&policy, POLICY).expect("written");
    hub.ok(&["apply", "-f", path(&policy)]);
    hub.ok(&["create", "namespace", "shop"]);
    hub.ok(&["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"]);
    hub.ok(&["wait", "--for=condition=Available", "deploy/web", "-n", "shop", "--timeout=120s"]);

    let member = |index: usize| Kubectl {
        binary: hub.binary.clone(),
        kubeconfig: clusters[index].1.kubeconfig().to_owned(),
    };
    member(0).ok(&["delete", "deploy", "web", "-n", "shop", "--wait=false"]);
    hub.wait(&["get", "events", "-n", "shop"], "on cluster1: deleted at");
    member(0).wait(&WEB, "2/2");
    member(1).ok(&["scale", "deploy", "web", "-n", "shop", "--replicas=5"]);
    hub.wait(&["get", "events", "-n", "shop"], "spec.replicas changed by kubectl");
    member(1).wait(&WEB, "2/2");

    // The key of a list item, which server-side apply alone does not put back.
    hub.ok(&["expose", "deploy", "web", "-n", "shop", "--port=80", "--name=web"]);
    let ports = ["get", "service", "web", "-n", "shop", "-o", "jsonpath=:{.spec.ports[*].port}:"];
    member(1).wait(&ports, ":80:");
    let edit = r#"{"spec": {"ports": [{"port": 81, "targetPort": 80}]}}"#;
    member(1).ok(&["patch", "service", "web", "-n", "shop", "--type=merge", "-p", edit]);
    hub.wait(&["get", "events", "-n", "shop"], "spec.ports");
    member(1).wait(&ports, ":80:");

    nodes_follow_pods(hub, dir.path());

    // Who leaves keeps running what it runs, without a mark of the fleet.
    fleet.ok(&["unjoin", "cluster2"]);
    let labels = ["get", "deploy", "web", "-n", "shop", "-o", "jsonpath={.metadata.labels}"];
    let left = member(1).ok(&labels);
    assert!(!left.contains("kogge.dev"), "{left}");
    hub.wait_gone(&["get", "cluster", "cluster2"]);
    // Another hub does nothing to it, and leaves it as it was.
    std::fs::create_dir(dir.path().join("other")).expect("made");
    let Some(other) = self::hub(&dir.path().join("other")) else { return };
    let first = path(clusters[0].1.kubeconfig());
    other.ok(&["join", "cluster1", "--cluster-kubeconfig", first]);
    let cluster = ["get", "cluster", "cluster1", "-o", "yaml"];
    other.kubectl.wait(&cluster, "reason: OwnedByAnotherHub");
    other.ok(&["unjoin", "cluster1"]);
    assert!(member(0).ok(&labels).contains("kogge.dev"));
    // The one that stayed loses what is deleted on the hub; the one that left does not.
    hub.ok(&["delete", "deploy", "web", "-n", "shop"]);
    member(0).wait_gone(&WEB);
    member(1).ok(&WEB);
    // Unless it is told that the first hub is gone.
    other.ok(&["join", "cluster1", "--cluster-kubeconfig", first, "--take-over"]);
    other.kubectl.ok(&["wait", "--for=condition=Ready", "cluster/cluster1", "--timeout=60s"]);
    for mut process in nodes {
        process.terminate().expect("signalled");
        let ended = process.wait_exit(Duration::from_secs(10)).expect("waited");
        wait_until(SOON, "sim nodes stops when asked", || ended.map(drop));
    }
}
