//! What kubectl's commands for workloads say of a simulated member, and of a real control plane
//! with pretended nodes: the same.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use common::now;
use kogge_apiserver::{
    pki::Authority,
    serve::{Serving, TlsConfig, listen},
};
use kogge_sim::{Faults, NodesConfig, SimMember, default_group, run_nodes};
use kogge_testkit::{
    kube::{self, Cluster, Options},
    kubectl::{self, Version},
    wait_until,
};
use serde_json::json;
use tokio::{net::TcpListener, runtime::Runtime};

const SOON: Duration = Duration::from_mins(1);

/// A StatefulSet and a DaemonSet.
const SETS: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: one}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: one}]}
";

struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    fn feed(&self, words: &[&str], input: &str) -> Result<String, String> {
        let mut command = kubectl::command(&self.binary, &self.kubeconfig);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.feed(&words, "").unwrap_or_else(|said| panic!("kubectl {line}: {said}"))
    }

    #[track_caller]
    fn shows(&self, line: &str, texts: &[&str]) {
        let said = self.ok(line);
        for text in texts {
            assert!(said.contains(text), "kubectl {line}: no {text:?} in\n{said}");
        }
    }

    #[track_caller]
    fn until(&self, line: &str, text: &str) {
        wait_until(SOON, &format!("kubectl {line} says {text:?}"), || {
            self.ok(line).contains(text).then_some(())
        });
    }

    /// The numbers in a rollout history.
    #[track_caller]
    fn revisions(&self, of: &str) -> Vec<u32> {
        let said = self.ok(&format!("rollout history {of}"));
        said.lines().filter_map(|it| it.split_whitespace().next()?.parse().ok()).collect()
    }
}

fn deployments(kubectl: &Kubectl) {
    kubectl.ok("create deployment web --image=one --replicas=2");
    kubectl.shows("rollout status deploy/web --timeout=60s", &["successfully rolled out"]);
    kubectl.ok("set image deploy/web one=two");
    kubectl.ok("rollout status deploy/web --timeout=60s");
    assert_eq!(kubectl.revisions("deploy/web"), [1, 2]);
    kubectl.shows("rollout history deploy/web --revision=1", &["Image:\tone"]);
    kubectl.shows("describe deploy/web", &["ScalingReplicaSet", "Scaled down replica set web-"]);
    kubectl.shows("get events", &["Created pod: web-", "Successfully assigned default/web-"]);
    kubectl.ok("rollout undo deploy/web");
    kubectl.ok("rollout status deploy/web --timeout=60s");
    let image = "get deploy/web -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(kubectl.ok(image), "one");
    assert_eq!(kubectl.revisions("deploy/web"), [2, 3]);
    kubectl.ok("rollout undo deploy/web --to-revision=2");
    kubectl.ok("rollout status deploy/web --timeout=60s");
    assert_eq!(kubectl.ok(image), "two");
    kubectl.ok("rollout pause deploy/web");
    kubectl.until("get deploy/web -o jsonpath={.status.conditions[*].reason}", "DeploymentPaused");
    kubectl.ok("rollout resume deploy/web");
    kubectl.ok("rollout restart deploy/web");
    kubectl.ok("rollout status deploy/web --timeout=60s");
    assert_eq!(kubectl.revisions("deploy/web"), [3, 4, 5]);
}

fn services(kubectl: &Kubectl) {
    kubectl.ok("expose deploy/web --port=80 --target-port=8080");
    kubectl.until("get endpoints/web -o jsonpath={.subsets[0].addresses[*].ip}", "10.");
    kubectl.until("get endpointslices -l kubernetes.io/service-name=web", "8080");
    kubectl.ok("autoscale deploy/web --min=3 --max=5");
    kubectl.ok("wait deploy/web --for=jsonpath={.status.availableReplicas}=3 --timeout=90s");
}

fn sets(kubectl: &Kubectl) {
    kubectl.feed(&["apply", "-f", "-"], SETS).unwrap();
    for set in ["sts/db", "ds/agent"] {
        kubectl.ok(&format!("rollout status {set} --timeout=60s"));
        kubectl.ok(&format!("set image {set} c=two"));
        kubectl.ok(&format!("rollout status {set} --timeout=90s"));
        assert_eq!(kubectl.revisions(set), [1, 2], "{set}");
        kubectl.shows(&format!("rollout history {set} --revision=1"), &["Image:\tone"]);
        kubectl.ok(&format!("rollout undo {set}"));
        kubectl.ok(&format!("rollout status {set} --timeout=90s"));
        assert_eq!(kubectl.revisions(set), [2, 3], "{set}");
        let image = "-o jsonpath={.spec.template.spec.containers[0].image}";
        assert_eq!(kubectl.ok(&format!("get {set} {image}")), "one");
    }
}

fn batch(kubectl: &Kubectl) {
    kubectl.ok("create cronjob tick --image=one --schedule=@yearly");
    kubectl.ok("create job once --from=cronjob/tick");
    kubectl.ok("wait job/once --for=condition=Complete --timeout=60s");
    kubectl.shows("get job/once", &["Complete", "1/1"]);
    kubectl.shows("get pods -l job-name=once", &["Completed"]);
    kubectl.ok("delete job/once cronjob/tick --timeout=60s");
}

fn all(kubectl: &Kubectl) {
    deployments(kubectl);
    services(kubectl);
    sets(kubectl);
    batch(kubectl);
    kubectl.ok("delete hpa/web deploy/web sts/db ds/agent svc/web --timeout=60s");
    wait_until(SOON, "no pod is left", || kubectl.ok("get pods -o name").is_empty().then_some(()));
}

/// A simulated member that listens, with its admin's kubeconfig in `dir`.
async fn served(dir: &Path) -> (SimMember, Serving) {
    let member = common::start(2).await.sim;
    let authority = Authority::load_or_create(&dir.join("pki"), "test", now()).unwrap();
    let identity = authority.server(&["localhost".into(), "127.0.0.1".into()], now()).unwrap();
    let client_authority_pem = Some(authority.certificate_pem().to_owned());
    let tls = TlsConfig { identity, client_authority_pem, late: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = listen(member.server().clone(), listener, &tls, Vec::new()).unwrap();
    let admin = authority.client("admin", "system:masters", now()).unwrap();
    let files = [
        ("ca.pem", authority.certificate_pem()),
        ("admin.pem", admin.certificate_pem.as_str()),
        ("admin.key", admin.key_pem.as_str()),
    ];
    for (name, pem) in files {
        fs::write(dir.join(name), pem).unwrap();
    }
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"certificate-authority": "ca.pem",
            "server": format!("https://{}", serving.address())}}],
        "users": [{"name": "it", "user": {
            "client-certificate": "admin.pem", "client-key": "admin.key"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    fs::write(dir.join("kubeconfig"), config.to_string()).unwrap();
    (member, serving)
}

#[test]
fn a_simulated_member_rolls_out_and_back() {
    for version in Version::ALL {
        let Some(binary) = kubectl::or_skip(version) else { continue };
        let (runtime, dir) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let _served = runtime.block_on(served(dir.path()));
        all(&Kubectl { binary, kubeconfig: dir.path().join("kubeconfig") });
    }
}

/// Tells whether the test asks for what Kubernetes does.
#[test]
fn a_real_control_plane_with_pretended_nodes_does_the_same() {
    let Some(binary) = kubectl::or_skip(Version::V1_37) else { return };
    let Some(control_plane) = kube::or_skip() else { return };
    let cluster = Cluster::start(&control_plane, &Options::named("judge")).unwrap();
    let runtime = Runtime::new().unwrap();
    let kubeconfig = cluster.kubeconfig().to_owned();
    let text = fs::read_to_string(&kubeconfig).unwrap();
    let client = runtime.block_on(kogge_member::from_kubeconfig(&text, None)).unwrap();
    let mut group = default_group();
    group.initial = 2;
    runtime.spawn(run_nodes(NodesConfig {
        client,
        groups: vec![group],
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now,
    }));
    all(&Kubectl { binary, kubeconfig });
}
