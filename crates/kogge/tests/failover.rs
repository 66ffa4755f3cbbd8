//! A cluster dies: what may move moves, the rest says why it stays, and nobody runs twice after.
#![expect(clippy::disallowed_methods, reason = "real clusters die in real time")]

mod common;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "faults/wire.rs"]
mod wire;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use common::{Kubectl, SOON, kogge, up};
use kogge_testkit::{Process, wait_until};
use wire::Wire;

/// From the word that a cluster is dead to its workloads running elsewhere.
const PROMISED: Duration = Duration::from_secs(30);

/// `web` is divided over all, `one` is a single copy, `all` runs everywhere, `db` keeps data.
const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: web, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: web}]
  placement: {replicaScheduling: {replicaSchedulingType: Divided}}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: one, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, name: one}]
  placement:
    clusterAffinity: {clusterNames: [member2]}
    spreadConstraints: [{spreadByField: cluster, minGroups: 1, maxGroups: 1}]
  failover:
    cluster:
      purgeMode: Gracefully
      statePreservation: {rules: [{aliasLabelName: was-ready, jsonPath: '{.readyReplicas}'}]}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: db, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: apps/v1, kind: StatefulSet, name: db}]
  placement: {replicaScheduling: {replicaSchedulingType: Divided}}
---
DEPLOYMENT web 6
---
DEPLOYMENT one 1
---
DEPLOYMENT all 1
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: 'postgres:18'}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

/// The `DEPLOYMENT name replicas` of the text above, written out.
fn objects() -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ["DEPLOYMENT", name, replicas] = words[..] else { return line.to_owned() };
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
             template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
             spec: {{containers: [{{name: {name}, image: 'nginx:1.29'}}]}}"
        )
    };
    OBJECTS.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A fleet of three simulated clusters, with a wire to some that can be cut.
struct Fleet {
    hub: Kubectl,
    wires: Vec<Wire>,
    process: Process,
    dir: tempfile::TempDir,
}

impl Fleet {
    fn or_skip(wired: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().expect("temp dir");
        let data = dir.path().join("fleet");
        let hub = Kubectl::or_skip(data.join("kubeconfig"))?;
        let process = up(&data);
        let wires = wired.iter().map(|name| wire_to(&hub, name)).collect();
        let it = Self { hub, wires, process, dir };
        it.apply(&objects());
        it.hub.wait(&BINDING_OF_ONE, "member2");
        // It stays where it is, and may be elsewhere.
        let wider =
            r#"{"spec":{"placement":{"clusterAffinity":{"clusterNames":["member2","member3"]}}}}"#;
        let words =
            ["patch", "propagationpolicy", "one", "-n", "shop", "--type=merge", "-p", wider];
        it.hub.ok(&words);
        for (name, ready) in [("web", "6/6"), ("one", "1/1"), ("all", "1/1")] {
            it.hub.wait(&["get", "deploy", name, "-n", "shop"], ready);
        }
        it.hub.wait(&on("member2", &["get", "statefulset", "db", "-n", "shop"]), "db");
        Some(it)
    }

    fn apply(&self, text: &str) {
        let path = self.dir.path().join("objects.yaml");
        fs::write(&path, text).expect("written");
        self.hub.ok(&["apply", "-f", path.to_str().expect("text")]);
    }

    /// What a command of kogge prints.
    #[track_caller]
    fn kogge(&self, words: &[&str]) -> String {
        run(&self.hub.kubeconfig, words)
    }

    /// Waits until a binding's clusters are these, and says when.
    #[track_caller]
    fn wait_places(&self, workload: &str, want: &str) {
        let words = ["get", "rb", workload, "-n", "shop", "-o", PLACES];
        wait_until(SOON, &format!("{workload} runs on {want}"), || {
            self.hub.run(&words).ok().filter(|it| it.trim() == want)
        });
    }

    #[track_caller]
    fn places(&self, workload: &str) -> String {
        self.hub.ok(&["get", "rb", workload, "-n", "shop", "-o", PLACES]).trim().to_owned()
    }
}

#[track_caller]
fn run(kubeconfig: &Path, words: &[&str]) -> String {
    let output = kogge().args(words).arg("--kubeconfig").arg(kubeconfig).output();
    let output = output.expect("kogge runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kogge {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Puts a wire before a cluster, and lets the hub give it up after two seconds.
fn wire_to(hub: &Kubectl, name: &str) -> Wire {
    let server = hub.ok(&["get", "cluster", name, "-o", "jsonpath={.spec.apiEndpoint}"]);
    let wire = Wire::to(server.trim_start_matches("https://"));
    let moved = format!(
        r#"{{"metadata":{{"annotations":{{"kogge.dev/dead-after":"2s"}}}},
            "spec":{{"apiEndpoint":"https://{}"}}}}"#,
        wire.address
    );
    hub.ok(&["patch", "cluster", name, "--type=merge", "-p", &moved]);
    hub.wait(&condition(name, "Ready"), "ClusterReady");
    wire
}

/// `member1=2 member3=4 `
const PLACES: &str = "jsonpath={range .spec.clusters[*]}{.name}={.replicas} {end}";
const BINDING_OF_ONE: [&str; 7] = ["get", "rb", "one-deployment", "-n", "shop", "-o", PLACES];

/// `FailedOver Deployment/web: moved from ...`, a line for each Event.
const MOVES: &str = concat!(
    "jsonpath={range .items[*]}{.reason} {.involvedObject.kind}/{.involvedObject.name}: ",
    "{.message}{'\\n'}{end}"
);

fn condition<'a>(cluster: &'a str, kind: &str) -> [&'a str; 5] {
    let path = match kind {
        "Ready" => "jsonpath={.status.conditions[?(@.type=='Ready')].reason}",
        "Dead" => "jsonpath={.status.conditions[?(@.type=='Dead')].status}",
        _ => "jsonpath={.status.conditions[?(@.type=='FailoverHeld')].status}",
    };
    ["get", "cluster", cluster, "-o", path]
}

fn on<'a>(cluster: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    ["--context", cluster].iter().chain(words).copied().collect()
}

#[test]
fn a_dead_cluster_is_left_and_comes_back_without_a_second_copy() {
    let Some(fleet) = Fleet::or_skip(&["member2"]) else { return };
    let hub = &fleet.hub;
    fleet.wait_places("web-deployment", "member1=2 member2=2 member3=2");
    let db = ["get", "statefulset", "db", "-n", "shop", "-o", "jsonpath={.metadata.uid}"];
    let (here, there) = (fleet.places("db-statefulset"), hub.ok(&on("member2", &db)));

    fleet.wires[0].cut();
    hub.wait(&condition("member2", "Dead"), "True");
    let dead = Instant::now();
    fleet.wait_places("web-deployment", "member1=3 member3=3");
    fleet.wait_places("one-deployment", "member3=1");
    for (cluster, name, ready) in
        [("member1", "web", "3/3"), ("member3", "web", "3/3"), ("member3", "one", "1/1")]
    {
        hub.wait(&on(cluster, &["get", "deploy", name, "-n", "shop"]), ready);
    }
    assert!(dead.elapsed() < PROMISED, "it took {:?}", dead.elapsed());
    // The new copy knows how the old one was.
    let label = ["get", "deploy", "one", "-n", "shop", "-o", "jsonpath={.metadata.labels}"];
    assert!(hub.ok(&on("member3", &label)).contains(r#""was-ready":"1""#));
    // Nobody told the cluster, which the hub alone does not reach: it runs its copies yet.
    hub.ok(&on("member2", &["get", "deploy", "web", "-n", "shop"]));

    let moved = "moved from member2 to member1 (+1), member3 (+1)";
    for (namespace, about) in [("shop", "Deployment/web"), ("default", "Cluster/member2")] {
        let told = hub.wait(&["get", "events", "-n", namespace, "-o", MOVES], moved);
        let line = told.lines().find(|it| it.contains(moved)).unwrap_or_default();
        assert!(line.starts_with(&format!("FailedOver {about}: ")), "{told}");
    }
    let why = wait_until(SOON, "why tells of the move", || {
        Some(hub.why("deploy/web", "shop")).filter(|it| it.contains("was moved away"))
    });
    assert!(why.contains("after member2 was given up by the hub"), "{why}");
    assert!(hub.why("deploy/all", "shop").contains("it runs already on every other cluster"));
    assert!(hub.why("statefulset/db", "shop").contains("its data is on volumes there"));
    let status = fleet.kogge(&["failover", "status"]);
    for words in ["member2  dead", "KeepsData", "NowhereElse", "Moved"] {
        assert!(status.contains(words), "{words} is not in\n{status}");
    }

    fleet.wires[0].mend();
    hub.wait(&condition("member2", "Ready"), "ClusterReady");
    for name in ["web", "one"] {
        hub.wait_gone(&on("member2", &["get", "deploy", name, "-n", "shop"]));
    }
    hub.wait(&condition("member2", "Dead"), "False");
    // What stayed is the same as before, and what moved is not moved back at once.
    assert_eq!(hub.ok(&on("member2", &db)), there);
    assert_eq!(fleet.places("db-statefulset"), here);
    hub.ok(&on("member2", &["get", "deploy", "all", "-n", "shop"]));
    assert_eq!(fleet.places("web-deployment"), "member1=3 member3=3");
    let taints = ["get", "cluster", "member2", "-o", "jsonpath={.spec.taints}"];
    assert_eq!(hub.ok(&taints), "");
    assert!(!fleet.process.log().contains("panicked"), "{}", fleet.process.log_tail(20));
}

#[test]
fn two_of_three_gone_at_once_move_nothing_until_a_person_says_so() {
    let Some(fleet) = Fleet::or_skip(&["member2", "member3"]) else { return };
    let hub = &fleet.hub;
    let before = fleet.places("web-deployment");
    for wire in &fleet.wires {
        wire.cut();
    }
    for name in ["member2", "member3"] {
        hub.wait(&condition(name, "Held"), "True");
    }
    let why = wait_until(SOON, "why tells what is waited for", || {
        Some(hub.why("deploy/web", "shop")).filter(|it| it.contains("kogge failover approve"))
    });
    assert!(why.contains("2 of 3 clusters are gone at once"), "{why}");
    // Past the ten seconds that a dead cluster is tolerated: told by the second look of `why`.
    let since = Instant::now();
    wait_until(SOON, "the toleration is over", || {
        (Duration::from_secs(12) < since.elapsed()).then_some(())
    });
    assert_eq!(fleet.places("web-deployment"), before);
    let status = fleet.kogge(&["failover", "status"]);
    assert!(status.contains("member2  held") && status.contains("WaitsForApproval"), "{status}");

    let said = fleet.kogge(&["failover", "approve"]);
    assert!(said.contains("member2 is given up") && said.contains("member3 is given up"), "{said}");
    fleet.wait_places("web-deployment", "member1=6");

    for wire in &fleet.wires {
        wire.mend();
    }
    for name in ["member2", "member3"] {
        hub.wait(&condition(name, "Ready"), "ClusterReady");
        hub.wait_gone(&on(name, &["get", "deploy", "web", "-n", "shop"]));
        // The word was for this time only.
        let word = ["get", "cluster", name, "-o", "jsonpath={.metadata.annotations}"];
        wait_until(SOON, "the word is used up", || {
            hub.run(&word).ok().filter(|it| !it.contains("approve-failover"))
        });
    }
    hub.wait(&on("member1", &["get", "deploy", "web", "-n", "shop"]), "6/6");
    assert_eq!(fleet.places("web-deployment"), "member1=6");
}

#[test]
fn a_hub_that_reaches_nobody_says_that_it_is_cut_off_and_moves_nothing() {
    let all = ["member1", "member2", "member3"];
    let Some(fleet) = Fleet::or_skip(&all) else { return };
    let before = fleet.places("web-deployment");
    for wire in &fleet.wires {
        wire.cut();
    }
    for name in all {
        fleet.hub.wait(&condition(name, "Held"), "True");
    }
    let status = || fleet.kogge(&["failover", "status"]);
    let cut_off = "the hub reaches no cluster, so it is the hub that is cut off";
    let is_held = |said: &str, name: &str| {
        said.lines().any(|it| it.starts_with(&format!("{name}  held")) && it.contains(cut_off))
    };
    wait_until(SOON, "it says that it is cut off, and what waits", || {
        let said = status();
        let all_are_held = all.iter().all(|it| is_held(&said, it));
        (all_are_held && said.contains("WaitsForApproval  member2")).then_some(())
    });
    assert_eq!(fleet.places("web-deployment"), before);

    for wire in &fleet.wires {
        wire.mend();
    }
    wait_until(SOON, "nothing is held any more", || {
        status().contains("all 3 clusters are well, and nothing moves").then_some(())
    });
    assert_eq!(fleet.places("web-deployment"), before);
}
