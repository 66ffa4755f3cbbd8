//! Two public applications on real clusters.

mod applications;
mod common;

use std::path::Path;

use applications::{Fleet, Member, git::Repository};
use common::{Kubectl, SOON, kogge};
use kogge_testkit::{
    Process,
    kube::{self, Cluster, Options},
    process::Leash,
};
use serde_json::json;

const NAMES: [&str; 3] = ["cluster1", "cluster2", "cluster3"];

/// Everywhere, from the repository called my-project.
fn objects(repository: &Path) -> String {
    let metadata = json!({"name": "my-project", "namespace": "kogge-system"});
    let items = [
        json!({"apiVersion": "policy.karmada.io/v1alpha1", "kind": "ClusterPropagationPolicy",
            "metadata": {"name": "everywhere"},
            "spec": {"resourceSelectors": [{"apiVersion": "*", "kind": "*"}],
                "propagateDeps": true, "placement": {"clusterAffinity": {}}}}),
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": metadata, "spec": {"interval": "1s", "ref": {"branch": "main"},
                "url": format!("file://{}", repository.display())}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": metadata, "spec": {"interval": "1m", "path": "./manifests", "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "my-project"}}}),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn start(name: &str, log: &Path, words: &[&str], path: Option<&std::ffi::OsStr>) -> Process {
    let mut command = kogge();
    command.args(words);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    Process::spawn(name, command, log, Leash::Watchdog).expect("kogge starts")
}

fn text(it: &Path) -> &str {
    it.to_str().expect("temporary paths are text")
}

#[test]
fn kube_members_run_both_applications() {
    let Some(binary) = kube::or_skip() else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("hub-data");
    let Some((hub, apps)) = applications::or_skip(data.join("kubeconfig")) else { return };
    let path = applications::path_with(&hub.binary);
    let words = ["hub", "--port", "0", "--data-dir", text(&data)];
    let mut process = start("hub", &dir.path().join("hub.log"), &words, Some(&path));
    process.wait_log("kogge join", SOON);

    let clusters: Vec<Cluster> = std::thread::scope(|scope| {
        let start = |name: &&str| {
            let options = Options::named(name);
            let binary = &binary;
            scope.spawn(move || Cluster::start(binary, &options).expect("a cluster"))
        };
        let starting: Vec<_> = NAMES.iter().map(start).collect();
        starting.into_iter().map(|it| it.join().expect("a cluster")).collect()
    });
    let mut nodes = Vec::new();
    for (name, cluster) in NAMES.iter().zip(&clusters) {
        let log = dir.path().join(format!("{name}-nodes.log"));
        let kubeconfig = text(cluster.kubeconfig());
        let words = ["sim", "nodes", "--nodes", "3", "--kubeconfig", kubeconfig];
        nodes.push(start("sim nodes", &log, &words, None));
        let joined = kogge()
            .args(["join", name, "--cluster-kubeconfig", kubeconfig, "--kubeconfig"])
            .arg(&hub.kubeconfig)
            .output()
            .expect("kogge runs");
        let said = String::from_utf8_lossy(&joined.stderr).into_owned();
        assert!(joined.status.success(), "join {name}: {said}");
    }
    hub.ok(&["wait", "--for=condition=Ready", "clusters", "--all", "--timeout=60s"]);

    let repository = Repository::init(&dir.path().join("repository"));
    let file = dir.path().join("objects.json");
    std::fs::write(&file, objects(&repository.0)).expect("written");
    hub.ok(&["apply", "-f", text(&file)]);
    let member = |(name, cluster): (&&str, &Cluster)| Member {
        name: (*name).to_owned(),
        kubectl: Kubectl {
            binary: hub.binary.clone(),
            kubeconfig: cluster.kubeconfig().to_owned(),
        },
        context: String::new(),
    };
    let members = NAMES.iter().zip(&clusters).map(member).collect();
    applications::run(&Fleet { hub, members, repository }, &apps);
    drop(nodes);
}
