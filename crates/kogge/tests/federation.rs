//! A Federation: its members become Clusters, join, and leave without losing what they run.

mod common;

use std::{fs, path::Path};

use common::{Kubectl, SOON, kogge, up};
use kogge_testkit::{
    Process,
    kube::{self, Cluster, Options},
    process::Leash,
    wait_until,
};

/// As users start from it.
const FEDERATION: &str = "\
apiVersion: federation.k8s.io/v1beta1
kind: Federation
metadata: {name: my-federation}
members:
  - {name: cluster1, url: https://cluster1.example.com}
  - {name: cluster2, url: https://cluster2.example.com}
";

const POLICY: &str = "\
apiVersion: policy.karmada.io/v1alpha1
kind: ClusterPropagationPolicy
metadata: {name: all}
spec:
  resourceSelectors: [{apiVersion: '*', kind: '*'}]
  placement: {clusterAffinity: {}}
";

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];
const READY: [&str; 5] = ["get", "federation", "my-federation", "-o", "jsonpath={.status.ready}"];
const SAID: [&str; 5] = [
    "get",
    "federation",
    "my-federation",
    "-o",
    "jsonpath={.status.conditions[*].reason}: {.status.conditions[*].message}",
];
const MEMBERS: [&str; 5] = [
    "get",
    "federation",
    "my-federation",
    "-o",
    "jsonpath={range .status.members[*]}{.name} {.state} {.reason}: {.message}\n{end}",
];

/// The manifest without the line of a member.
fn without(manifest: &str, member: &str) -> String {
    let lines = manifest.lines().filter(|it| !it.contains(member));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn apply(kubectl: &Kubectl, dir: &Path, text: &str) -> Result<String, String> {
    let path = dir.join("object.yaml");
    fs::write(&path, text).expect("written");
    kubectl.run(&["apply", "-f", path.to_str().expect("text")])
}

#[track_caller]
fn applied(kubectl: &Kubectl, dir: &Path, text: &str) {
    apply(kubectl, dir, text).expect("it is applied");
}

#[track_caller]
fn run(kubectl: &Kubectl, words: &[&str]) {
    let output = kogge().args(words).arg("--kubeconfig").arg(&kubectl.kubeconfig).output();
    let output = output.expect("kogge runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "kogge {words:?}: {said}");
}

#[test]
fn real_clusters_join_a_federation_and_one_leaves_it() {
    let Some(binary) = kube::or_skip() else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("hub-data");
    let Some(hub) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let mut command = kogge();
    command.args(["hub", "--port", "0", "--data-dir"]).arg(&data);
    let log = dir.path().join("hub.log");
    let mut process = Process::spawn("hub", command, &log, Leash::Watchdog).expect("started");
    process.wait_log("kogge join", SOON);

    // Listed twice is refused with the field's name, and changes nothing.
    let twice = FEDERATION.replace("cluster2", "cluster1");
    let refused = apply(&hub, dir.path(), &twice).expect_err("a name is listed twice");
    assert!(refused.contains("members[1]") && refused.contains("Duplicate"), "{refused}");
    let named = FEDERATION.replace("cluster2", "Cluster_2");
    let refused = apply(&hub, dir.path(), &named).expect_err("a name that is not allowed");
    assert!(refused.contains("members[1].name"), "{refused}");

    applied(&hub, dir.path(), FEDERATION);
    let said = hub.wait(&SAID, "NoCredentials");
    for name in ["cluster1", "cluster2"] {
        assert!(said.contains(&format!("kogge join {name} --cluster-kubeconfig FILE")), "{said}");
        hub.ok(&["get", "cluster", name]);
    }

    let clusters = ["cluster1", "cluster2"].map(|name| {
        let cluster = Cluster::start(&binary, &Options::named(name)).expect("a cluster");
        let kubeconfig = cluster.kubeconfig().to_str().expect("text").to_owned();
        run(&hub, &["join", name, "--cluster-kubeconfig", &kubeconfig]);
        cluster
    });
    hub.wait(&READY, "2/2");
    hub.ok(&["wait", "--for=condition=Ready", "federation/my-federation", "--timeout=60s"]);

    let seen_by = "jsonpath={.status.members[0].seenBy[0]} at {.status.members[0].lastSeen}";
    hub.wait(&["get", "federation", "my-federation", "-o", seen_by], "hub at 20");

    let member = |index: usize| Kubectl {
        binary: hub.binary.clone(),
        kubeconfig: clusters[index].kubeconfig().to_owned(),
    };
    applied(&hub, dir.path(), POLICY);
    hub.ok(&["create", "namespace", "shop"]);
    hub.ok(&["create", "deployment", "web", "-n", "shop", "--image=nginx", "--replicas=2"]);
    for index in [0, 1] {
        member(index).wait(&WEB, "web");
    }

    // The account's rights are taken away on the member: said, and joining again helps.
    member(0).ok(&["delete", "clusterrolebinding", "kogge"]);
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}: \
                 {.status.conditions[?(@.type=='Ready')].message}";
    let said = hub.wait(&["get", "cluster", "cluster1", "-o", ready], "CredentialsRefused");
    assert!(said.contains("kogge join cluster1 --cluster-kubeconfig FILE"), "{said}");
    hub.wait(&SAID, "MembersNotReady: cluster1: ");
    let kubeconfig = clusters[0].kubeconfig().to_str().expect("text");
    run(&hub, &["join", "cluster1", "--cluster-kubeconfig", kubeconfig]);
    hub.wait(&READY, "2/2");

    let one = without(FEDERATION, "cluster2");
    applied(&hub, dir.path(), &one);
    hub.wait_gone(&["get", "cluster", "cluster2"]);
    member(1).wait_gone(&WEB);
    member(1).wait_gone(&["get", "clusterrolebinding", "kogge"]);
    hub.wait(&READY, "1/1");
    let events = hub.wait(&["get", "events"], "MemberLeft");
    assert!(events.contains("MemberLeaving"), "{events}");
    member(0).ok(&WEB);

    // The Federation goes, its fleet stays.
    hub.ok(&["delete", "federation", "my-federation"]);
    hub.wait(&["get", "events"], "FederationDeleted");
    let labels = ["get", "cluster", "cluster1", "-o", "jsonpath={.metadata.labels}"];
    wait_until(SOON, "the label is gone", || {
        hub.run(&labels).ok().filter(|it| !it.contains("kogge.dev/federation"))
    });
    hub.ok(&["wait", "--for=condition=Ready", "cluster/cluster1"]);
    member(0).ok(&WEB);
}

fn on<'a>(context: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    ["--context", context].iter().chain(words).copied().collect()
}

const PINNED: &str = "\
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: pinned, namespace: shop}
spec:
  resourceSelectors: [{apiVersion: v1, kind: ConfigMap, name: pinned}]
  placement: {clusterAffinity: {clusterNames: [cluster3]}}
";

/// Two members that joined by hand, and one by a kubeconfig in a Secret.
fn three(server: &str) -> String {
    format!(
        "apiVersion: federation.k8s.io/v1beta1\nkind: Federation\nmetadata: {{name: my-federation}}\n\
         members:\n  - {{name: member1, url: 'https://x'}}\n  - {{name: member2, url: 'https://x'}}\n  \
         - {{name: cluster3, url: '{server}', secretRef: {{name: mine}}}}\n"
    )
}

#[test]
fn what_nothing_else_takes_keeps_a_cluster_until_it_is_gone() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let Some(hub) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let process = up(&data);
    run(&hub, &["unjoin", "member3"]);
    let config =
        ["config", "view", "-o", "jsonpath={.clusters[?(@.name=='member3')].cluster.server}"];
    let server = hub.ok(&config);
    let from = format!("--from-file=kubeconfig={}", hub.kubeconfig.display());
    hub.ok(&["create", "secret", "generic", "mine", "-n", "kogge-system", &from]);
    applied(&hub, dir.path(), &three(&server));
    hub.wait(&READY, "3/3");

    hub.ok(&["create", "namespace", "shop"]);
    applied(&hub, dir.path(), PINNED);
    hub.ok(&["create", "configmap", "pinned", "-n", "shop"]);
    let pinned = ["get", "configmap", "pinned", "-n", "shop"];
    hub.wait(&on("member3", &pinned), "pinned");
    hub.wait(&on("member3", &["get", "deploy", "-n", "my-project"]), "web");

    // Off the list: what runs elsewhere as well goes, what only runs here stays and says so.
    let two = without(&three(&server), "cluster3");
    applied(&hub, dir.path(), &two);
    hub.wait_gone(&on("member3", &["get", "deploy", "web", "-n", "my-project"]));
    let said = hub.wait(&MEMBERS, "configmap/pinned -n shop");
    assert!(said.contains("cluster3 Leaving Draining: still placed there: "), "{said}");
    assert!(said.contains("kogge unjoin cluster3"), "{said}");
    hub.ok(&on("member3", &pinned));
    hub.wait(&READY, "2/2");

    hub.ok(&["delete", "configmap", "pinned", "-n", "shop"]);
    hub.wait_gone(&["get", "cluster", "cluster3"]);
    hub.wait_gone(&on("member3", &pinned));
    // Only what `kogge join` made is taken away with it.
    hub.ok(&["get", "secret", "mine", "-n", "kogge-system"]);

    // Joined by hand: off the list it stays, and that is said.
    applied(&hub, dir.path(), &without(&two, "member2"));
    hub.wait(&["get", "events"], "kogge unjoin member2");
    hub.ok(&["wait", "--for=condition=Ready", "cluster/member2"]);
    assert!(hub.run(&READY).is_ok_and(|it| it == "1/1"), "{}", process.log_tail(20));
}
