//! A hub and agents as real processes, and a simulated cluster that no hub dials.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "test helpers")]

pub mod gate;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt as _;
use jiff::Timestamp;
use kogge_apiserver::{
    Authorization,
    pki::Authority,
    serve::{Serving, TlsConfig, listen},
};
use kogge_sim::{Faults, SimMember, SimOptions};
use kogge_store::Embedded;
use kogge_testkit::{Process, process::Leash};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::common::{Kubectl, SOON, kogge};

pub const POLICY: &str = r#"{"apiVersion": "policy.karmada.io/v1alpha1",
"kind": "ClusterPropagationPolicy", "metadata": {"name": "all"},
"spec": {"resourceSelectors": [{"apiVersion": "*", "kind": "*"}],
    "placement": {"clusterAffinity": {}}}}"#;

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A simulated cluster with an API on a socket.
pub struct Member {
    pub kubectl: Kubectl,
    _served: (SimMember, Serving, Runtime),
}

impl Member {
    pub fn start(dir: &Path, name: &str, hub: &Kubectl) -> Self {
        let runtime = Runtime::new().unwrap();
        let kubeconfig = dir.join(format!("{name}.kubeconfig"));
        let (sim, serving) = runtime.block_on(serve(name, &kubeconfig));
        let kubectl = Kubectl { binary: hub.binary.clone(), kubeconfig };
        Self { kubectl, _served: (sim, serving, runtime) }
    }
}

async fn serve(name: &str, kubeconfig: &Path) -> (SimMember, Serving) {
    let sim = SimMember::start(SimOptions {
        name: name.to_owned(),
        store: Arc::new(Embedded::in_memory()),
        groups: vec![kogge_sim::default_group()],
        faults: Faults::default(),
        start_delay: Duration::ZERO,
        now,
        authorization: Authorization::Rbac,
    });
    let sim = sim.await.unwrap();
    let authority = Authority::create(name, now()).unwrap();
    let identity = authority.server(&["127.0.0.1".into()], now()).unwrap();
    let client_authority_pem = Some(authority.certificate_pem().to_owned());
    let tls = TlsConfig { identity, client_authority_pem, late: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = listen(sim.server().clone(), listener, &tls, Vec::new()).unwrap();
    let admin = authority.client("admin", "system:masters", now()).unwrap();
    let beside = |extension: &str, pem: &str| {
        let path = kubeconfig.with_extension(extension);
        fs::write(&path, pem).unwrap();
        path
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {
            "certificate-authority": beside("ca", authority.certificate_pem()),
            "server": format!("https://{}", serving.address())}}],
        "users": [{"name": name, "user": {
            "client-certificate": beside("crt", &admin.certificate_pem),
            "client-key": beside("key", &admin.key_pem)}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    fs::write(kubeconfig, config.to_string()).unwrap();
    (sim, serving)
}

/// `kogge hub`, as a process.
pub struct Hub {
    pub kubectl: Kubectl,
    pub process: Process,
    dir: PathBuf,
    life: String,
    /// What else it is started with.
    pub words: Vec<String>,
}

impl Hub {
    /// With certificates that live as long as `life` says.
    pub fn or_skip(dir: &Path, life: &str) -> Option<Self> {
        Self::or_skip_with(dir, life, &[])
    }

    /// With more words, at each start.
    pub fn or_skip_with(dir: &Path, life: &str, words: &[&str]) -> Option<Self> {
        let kubectl = Kubectl::or_skip(dir.join("hub-data/kubeconfig"))?;
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        let process = start(dir, life, "0", &words);
        Some(Self { kubectl, process, dir: dir.to_owned(), life: life.to_owned(), words })
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let port = self.port();
        self.start_at(&port);
    }

    /// Starts it at a port, with whatever is in its data directory.
    pub fn start_at(&mut self, port: &str) {
        self.process = start(&self.dir, &self.life, port, &self.words);
    }

    /// Where it served last.
    pub fn port(&self) -> String {
        let url = fs::read_to_string(&self.kubectl.kubeconfig).unwrap();
        let server = url.lines().find(|it| it.contains("server:")).unwrap();
        server.trim().trim_end_matches('"').rsplit(':').next().unwrap().to_owned()
    }

    pub fn run(&self, words: &[&str]) -> Output {
        let kubeconfig = &self.kubectl.kubeconfig;
        kogge().args(words).arg("--kubeconfig").arg(kubeconfig).output().unwrap()
    }

    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kogge {words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The words of the one line that `kogge token create` prints, without `kogge`.
    pub fn token(&self, words: &[&str]) -> Vec<String> {
        let printed = self.ok(&[&["token", "create"], words].concat());
        assert_eq!(printed.lines().count(), 1, "{printed}");
        let words = printed.split_whitespace().map(str::to_owned);
        words.skip(1).collect()
    }

    pub fn apply(&self, file: &str, text: &str) {
        let path = self.dir.join(file);
        fs::write(&path, text).unwrap();
        self.kubectl.ok(&["apply", "-f", path.to_str().unwrap()]);
    }
}

fn start(dir: &Path, life: &str, port: &str, words: &[String]) -> Process {
    let mut command = kogge();
    command.args(["hub", "--agent-certificate-life", life, "--port", port, "--data-dir"]);
    command.arg(dir.join("hub-data")).args(words);
    let mut hub = Process::spawn("hub", command, &dir.join("hub.log"), Leash::Watchdog).unwrap();
    hub.wait_log("kogge token create", SOON);
    hub
}

/// `kogge agent` beside a cluster, with what it keeps in `dir`.
pub fn agent(dir: &Path, member: &Path, words: &[String]) -> Process {
    let mut command = kogge();
    command.args(words).arg("--kubeconfig").arg(member).arg("--data-dir").arg(dir);
    Process::spawn("agent", command, &dir.with_extension("log"), Leash::Watchdog).unwrap()
}

/// The first two lines of what the hub answers to who shows the certificate of an agent, or why it
/// answers nothing.
pub fn get(agent: &Path, path: &str) -> String {
    let identity = fs::read_to_string(agent.join("identity.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let encoded = |field: &str| STANDARD.encode(identity[field].as_str().unwrap());
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "hub",
        "clusters": [{"name": "hub", "cluster": {
            "server": identity["hub"], "certificate-authority-data": encoded("authority")}}],
        "users": [{"name": "hub", "user": {
            "client-certificate-data": encoded("certificate"), "client-key-data": encoded("key")}}],
        "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "hub"}}],
    });
    let asked = async {
        let client = kogge_member::from_kubeconfig(&config.to_string(), None).await.unwrap();
        match client.lines(path).await {
            Ok(lines) => lines.take(2).map(Result::unwrap).collect().await,
            Err(error) => error.chain(),
        }
    };
    Runtime::new().unwrap().block_on(asked)
}
