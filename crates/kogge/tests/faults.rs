//! Faults and bad input: each has a clear answer, and nothing is lost or pruned by it.

mod common;
#[path = "faults/wire.rs"]
mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Kubectl, kogge, up};
use jiff::Timestamp;
use kogge_git::{Author, commit_all, init_with};
use wire::Wire;

fn on<'a>(context: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    ["--context", context].iter().chain(words).copied().collect()
}

/// Reason and message of a cluster's Ready condition.
const READY: &str = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}: \
                     {.status.conditions[?(@.type=='Ready')].message}";

const WEB: [&str; 5] = ["get", "deploy", "web", "-n", "my-project"];

#[test]
fn a_member_that_is_away_or_refuses_keeps_what_it_runs_and_comes_back() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("fleet");
    let Some(fleet) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let process = up(&data);
    let ready = |name: &'static str| ["get", "cluster", name, "-o", READY];
    let endpoint = ["get", "cluster", "member2", "-o", "jsonpath={.spec.apiEndpoint}"];
    let server = fleet.ok(&endpoint);
    let wire = Wire::to(server.trim_start_matches("https://"));
    let moved = format!(r#"{{"spec":{{"apiEndpoint":"https://{}"}}}}"#, wire.address);
    fleet.ok(&["patch", "cluster", "member2", "--type=merge", "-p", &moved]);
    fleet.wait(&ready("member2"), "ClusterReady");
    fleet.wait(&on("member2", &WEB), "1/1");

    wire.cut();
    let said = fleet.wait(&ready("member2"), "ClusterNotReachable");
    assert!(said.contains("cannot be reached") || said.contains("did not answer"), "{said}");
    // Meanwhile the member drifts, and the fleet goes on.
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil"}]}}}}"#;
    fleet.ok(&on("member2", &["patch", "deploy", "web", "-n", "my-project", "-p", patch]));
    fleet.ok(&on("member2", &["delete", "service", "web", "-n", "my-project"]));
    fleet.ok(&["create", "configmap", "new", "-n", "my-project", "--from-literal=a=b"]);
    fleet.wait(&on("member1", &["get", "configmap", "new", "-n", "my-project"]), "new");

    wire.mend();
    fleet.wait(&ready("member2"), "ClusterReady");
    let image = ["-o", "jsonpath={.spec.template.spec.containers[0].image}"];
    fleet.wait(&[&on("member2", &WEB)[..], &image].concat(), "nginx:1.29");
    fleet.wait(&on("member2", &["get", "service", "web", "-n", "my-project"]), "web");
    fleet.wait(&on("member2", &["get", "configmap", "new", "-n", "my-project"]), "new");
    fleet.wait(&["get", "events", "-n", "my-project"], "on member2: ");

    // Connections that die without a word hold nothing up once the member answers again.
    wire.fall_silent();
    fleet.wait(&ready("member2"), "did not answer within");
    fleet.ok(&on("member2", &["delete", "service", "web", "-n", "my-project"]));
    wire.mend();
    fleet.wait(&ready("member2"), "ClusterReady");
    fleet.wait(&on("member2", &["get", "service", "web", "-n", "my-project"]), "web");

    // Credentials that are refused, that say nothing, and that are gone.
    let secret = ["get", "secret", "cluster-member3", "-n", "kogge-system", "-o"];
    let good = fleet.ok(&[&secret[..], &["jsonpath={.data.token}"]].concat());
    let patch_secret = |data: &str| {
        let patch = format!(r#"{{"data":{data}}}"#);
        let words = ["patch", "secret", "cluster-member3", "-n", "kogge-system", "--type=merge"];
        fleet.ok(&[&words[..], &["-p", &patch]].concat());
    };
    patch_secret(r#"{"token":"YmFk"}"#);
    let said = fleet.wait(&ready("member3"), "CredentialsRefused");
    assert!(said.contains("kogge join member3 --cluster-kubeconfig FILE"), "{said}");
    patch_secret(r#"{"token":null}"#);
    let said = fleet.wait(&ready("member3"), "NoCredentials");
    assert!(said.contains("holds neither token nor kubeconfig"), "{said}");
    patch_secret(r#"{"token":null,"kubeconfig":"YTogWzE="}"#);
    let said = fleet.wait(&ready("member3"), "BadCredentials");
    assert!(said.contains("Secret kogge-system/cluster-member3: line 1"), "{said}");
    patch_secret(&format!(r#"{{"token":"{good}","kubeconfig":null}}"#));
    fleet.wait(&ready("member3"), "ClusterReady");
    fleet.ok(&["delete", "secret", "cluster-member3", "-n", "kogge-system"]);
    let said = fleet.wait(&ready("member3"), "NoCredentials");
    assert!(said.contains("Secret kogge-system/cluster-member3 is not there"), "{said}");
    fleet.wait(&on("member3", &WEB), "1/1");
    assert!(!process.log().contains("panicked"), "{}", process.log_tail(20));
}

/// A hub with a repository and what follows it.
struct Followed {
    hub: Kubectl,
    repository: PathBuf,
    _process: kogge_testkit::Process,
    dir: tempfile::TempDir,
}

const SOURCE: [&str; 6] = ["get", "gitrepository", "app", "-n", "kogge-system", "-o"];
const APP: [&str; 6] = ["get", "kustomization", "app", "-n", "kogge-system", "-o"];
const KEPT: [&str; 5] = ["get", "configmap", "kept", "-n", "default"];

const KEPT_YAML: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, namespace: default}\n";

impl Followed {
    fn or_skip() -> Option<Self> {
        let dir = tempfile::tempdir().expect("temp dir");
        let data = dir.path().join("data");
        let hub = Kubectl::or_skip(data.join("kubeconfig"))?;
        let mut command = kogge();
        command.args(["hub", "--port", "0", "--data-dir"]).arg(&data);
        let leash = kogge_testkit::process::Leash::Watchdog;
        let log = dir.path().join("hub.log");
        let mut process =
            kogge_testkit::Process::spawn("hub", command, &log, leash).expect("started");
        process.wait_log("kogge join", common::SOON);
        let repository = dir.path().join("repository");
        let files = [("manifests/kept.yaml", KEPT_YAML)];
        init_with(&repository, &files, "first", &author(), time()).expect("made");
        let it = Self { hub, repository, _process: process, dir };
        it.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: kogge-system}}\n---\n\
             apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n\
             metadata: {{name: app, namespace: kogge-system}}\n\
             spec: {{url: 'file://{}', interval: 1s, ref: {{branch: main}}}}\n---\n\
             apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n\
             metadata: {{name: app, namespace: kogge-system}}\n\
             spec: {{interval: 1s, path: ./manifests, prune: true, \
             sourceRef: {{kind: GitRepository, name: app}}}}\n",
            it.repository.display()
        ));
        it.wait(&SOURCE, "Succeeded: ");
        it.wait(&APP, "ReconciliationSucceeded: ");
        it.hub.ok(&KEPT);
        Some(it)
    }

    fn apply(&self, text: &str) -> String {
        let path = self.dir.path().join("object.yaml");
        fs::write(&path, text).expect("written");
        self.hub.ok(&["apply", "-f", path.to_str().expect("text")])
    }

    /// Waits until the Ready condition says `text`; what was applied is there all the while.
    #[track_caller]
    fn wait(&self, words: &[&str], text: &str) -> String {
        let said = self.hub.wait(&[words, &[READY]].concat(), text);
        self.hub.wait(&KEPT, "kept");
        said
    }

    fn uid(&self) -> String {
        self.hub.ok(&[&KEPT[..], &["-o", "jsonpath={.metadata.uid}"]].concat())
    }

    #[track_caller]
    fn patch(&self, kind: &str, patch: &str) {
        let words = ["patch", kind, "app", "-n", "kogge-system", "--type=merge", "-p", patch];
        self.hub.ok(&words);
    }

    fn write(&self, file: &str, content: &str) {
        fs::write(self.repository.join("manifests").join(file), content).expect("written");
        self.commit();
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.repository.join("manifests").join(file)).expect("removed");
        self.commit();
    }

    fn commit(&self) {
        commit_all(&self.repository, "more", &author(), time()).expect("committed");
    }

    /// A file that cannot be applied says why, and taken away again all is well.
    #[track_caller]
    fn check_refused(&self, content: &str, words: &[&str]) {
        self.write("bad.yaml", content);
        let said = self.wait(&APP, words[0]);
        for it in words {
            assert!(said.contains(it), "{it} is not in {said}");
        }
        self.remove("bad.yaml");
        self.wait(&APP, "ReconciliationSucceeded: ");
    }
}

fn author() -> Author {
    Author { name: "test".into(), email: "test@localhost".into() }
}

fn time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn swap(from: &Path, to: &Path) {
    fs::rename(from, to).expect("renamed");
}

#[test]
fn what_is_wrong_with_a_repository_is_said_and_changes_nothing() {
    let Some(it) = Followed::or_skip() else { return };
    let uid = it.uid();
    let digest = it.hub.ok(&[&SOURCE[..], &["jsonpath={.status.artifact.digest}"]].concat());
    assert!(digest.starts_with("sha1:") && digest.len() == 45, "{digest}");

    let away = it.dir.path().join("away");
    swap(&it.repository, &away);
    let said = it.wait(&SOURCE, "GitOperationFailed: ");
    assert!(said.contains("is no Git repository, or is gone"), "{said}");
    swap(&away, &it.repository);
    it.wait(&SOURCE, "Succeeded: ");

    it.patch("gitrepository", r#"{"spec":{"ref":{"branch":"nope"}}}"#);
    let said = it.wait(&SOURCE, "GitOperationFailed: ");
    assert!(said.contains("has no branch nope; there is main"), "{said}");
    it.patch("gitrepository", r#"{"spec":{"ref":{"branch":"main"}}}"#);
    it.wait(&SOURCE, "Succeeded: ");

    it.patch("kustomization", r#"{"spec":{"path":"./nope"}}"#);
    let said = it.wait(&APP, "BuildFailed: ");
    assert!(said.contains("path ./nope is not in commit"), "{said}");
    it.patch("kustomization", r#"{"spec":{"path":"./manifests"}}"#);
    it.wait(&APP, "ReconciliationSucceeded: ");

    let link = it.repository.join("manifests/out.yaml");
    std::os::unix::fs::symlink("../../../etc/passwd", &link).expect("linked");
    it.commit();
    let said = it.wait(&APP, "BuildFailed: ");
    let want = "manifests/out.yaml is a symlink to ../../../etc/passwd, which leads out";
    assert!(said.contains(want), "{said}");
    it.remove("out.yaml");
    it.wait(&APP, "ReconciliationSucceeded: ");

    it.check_refused("a: [1\n", &["BuildFailed: ", "manifests/bad.yaml:1"]);
    let object = |kind: &str, rest: &str| {
        format!("apiVersion: {kind}\nmetadata: {{name: bad, namespace: default}}\n{rest}\n")
    };
    it.check_refused(
        &object("apps/v1\nkind: Deployment", "spec: {replicas: many}"),
        &["ReconciliationFailed: ", "Deployment default/bad (manifests/bad.yaml:1)", "replicas"],
    );
    it.check_refused(
        &object("nowhere.example.com/v1\nkind: Thing", ""),
        &["ReconciliationFailed: ", "manifests/bad.yaml:1", "no kind Thing"],
    );
    assert_eq!(it.uid(), uid, "it was never taken away and put back");
}

/// A definition that is applied, and an object of it that is refused.
const HALF: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things, singular: thing}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: integer}}}}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: bad, namespace: default}
spec: many
";

#[test]
fn half_a_revision_is_pruned_later_and_much_at_once_waits_for_a_word() {
    let Some(it) = Followed::or_skip() else { return };
    it.write("half.yaml", HALF);
    let said = it.wait(&APP, "ReconciliationFailed: ");
    assert!(said.contains("Thing default/bad") && said.contains("spec"), "{said}");
    let crd = ["get", "crd", "things.example.com"];
    it.hub.ok(&crd);
    it.remove("half.yaml");
    it.wait(&APP, "ReconciliationSucceeded: ");
    it.hub.wait_gone(&crd);

    let many: String = (0..20).fold(String::new(), |text, n| {
        text + "---\n" + &KEPT_YAML.replace("name: kept", &format!("name: many-{n:02}"))
    });
    it.write("many.yaml", &many);
    it.hub.wait(&["get", "configmaps"], "many-19");
    it.wait(&APP, "ReconciliationSucceeded: ");
    it.remove("many.yaml");
    let said = it.wait(&APP, "PruneHeld: ");
    let command =
        "kubectl annotate kustomization -n kogge-system app kogge.dev/approve-deletions=true";
    assert!(said.contains(command), "{said}");
    it.hub.ok(&["get", "configmap", "many-19"]);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    it.hub.ok(&words);
    it.wait(&APP, "ReconciliationSucceeded: ");
    it.hub.wait_gone(&["get", "configmap", "many-19"]);
    // The word was for what waited, and is used up by that.
    let annotations = [&APP[..], &["jsonpath={.metadata.annotations}"]].concat();
    assert!(!it.hub.ok(&annotations).contains("approve-deletions"));

    // A policy that selects nothing is taken, and says so to whoever writes it.
    let policy = "apiVersion: policy.karmada.io/v1alpha1\nkind: PropagationPolicy\n\
                  metadata: {name: none, namespace: default}\n\
                  spec: {placement: {}, resourceSelectors: SELECTORS}\n";
    let path = it.dir.path().join("policy.yaml");
    let warn = |selectors: &str| {
        fs::write(&path, policy.replace("SELECTORS", selectors)).expect("written");
        let mut command = kogge_testkit::kubectl::command(&it.hub.binary, &it.hub.kubeconfig);
        let path = path.to_str().expect("text");
        let output = command.args(["apply", "-f", path]).output().expect("kubectl runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (taken, said) = warn("[]");
    assert!(!taken && said.contains("spec.resourceSelectors"), "{said}");
    let (taken, said) = warn("[{apiVersion: apps/v1, kind: Deployment, name: nope}]");
    assert!(taken && said.contains("selects nothing that is on the hub yet"), "{said}");
    let (taken, said) = warn("[{apiVersion: v1, kind: ConfigMap, name: kept}]");
    assert!(taken && !said.contains("selects nothing"), "{said}");
}
