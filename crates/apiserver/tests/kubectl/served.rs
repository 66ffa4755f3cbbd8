//! One server on loopback with its admin's kubeconfig, and kubectl at it.
//!
//! With `KOGGE_JUDGE=1` the scenarios run against a real kube-apiserver in its place, which
//! tells whether they ask for what Kubernetes does.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_apiserver::{
    ApiServer, Config,
    pki::{Authority, Identity},
    serve::{Serving, TlsConfig, listen},
};
use kogge_store::Embedded;
use kogge_testkit::{
    Process, TempDir,
    kube::{self, Cluster, Options},
    kubectl::{self, Version},
    process::Leash,
    wait_until,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use super::common;

/// Long enough for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_mins(1);

#[expect(clippy::disallowed_methods, reason = "kubectl checks certificates against the real time")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// kubectl, and the server that it talks to; both end when it is dropped.
pub struct Kubectl {
    binary: PathBuf,
    dir: TempDir,
    side: Side,
    runtime: Runtime,
}

/// Who answers.
enum Side {
    Ours { server: ApiServer, _serving: Serving },
    Judge { _cluster: Cluster },
}

/// What a command did.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a scenario with each version of kubectl that is there.
pub fn each(scenario: fn(&Kubectl)) {
    for version in Version::ALL {
        if let Some(it) = kubectl::or_skip(version).and_then(Kubectl::start) {
            scenario(&it);
        }
    }
}

impl Kubectl {
    /// `None` where the judge is asked for and missing.
    fn start(binary: PathBuf) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let side = if env::var("KOGGE_JUDGE").is_ok_and(|it| it == "1") {
            judge(&kube::or_skip()?, dir.path())
        } else {
            runtime.block_on(ours(dir.path()))
        };
        Some(Self { binary, dir, side, runtime })
    }

    /// Whether a real kube-apiserver answers.
    pub fn is_judge(&self) -> bool {
        matches!(self.side, Side::Judge { .. })
    }

    /// Forgets all history, as a server does in time. Nothing where the judge answers.
    pub fn compact(&self) {
        if let Side::Ours { server, .. } = &self.side {
            let store = server.store();
            self.runtime.block_on(store.compact(store.revision())).unwrap();
        }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Where the scenario may write.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = kubectl::command(&self.binary, &self.kubeconfig());
        command.args(words);
        command
    }

    /// Runs a command that reads `input`.
    pub fn run(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What it printed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.feed(words, "")
    }

    /// What it printed, having read `input`.
    #[track_caller]
    pub fn feed(&self, words: &[&str], input: &str) -> String {
        let said = self.run(words, input);
        assert!(said.code == Some(0), "kubectl {words:?}: {}{}", said.out, said.err);
        said.out
    }

    /// Applies YAML with further words.
    #[track_caller]
    pub fn apply(&self, yaml: &str, words: &[&str]) -> String {
        self.feed(&[&["apply", "-f", "-"], words].concat(), yaml)
    }

    /// What it found wrong.
    #[track_caller]
    pub fn refused(&self, words: &[&str], input: &str) -> String {
        let said = self.run(words, input);
        assert!(said.code != Some(0), "kubectl {words:?} went through: {}", said.out);
        said.err
    }

    /// That a command prints each of the texts.
    #[track_caller]
    pub fn shows(&self, words: &[&str], texts: &[&str]) {
        let out = self.ok(words);
        for text in texts {
            assert!(squeezed(&out).contains(text), "kubectl {words:?}: no {text:?} in\n{out}");
        }
    }

    /// That a command prints this and nothing else.
    #[track_caller]
    pub fn says(&self, words: &[&str], text: &str) {
        assert_eq!(self.ok(words).trim_end(), text, "kubectl {words:?}");
    }

    /// That a command fails and names each of the texts.
    #[track_caller]
    pub fn refuses(&self, words: &[&str], input: &str, texts: &[&str]) {
        let err = self.refused(words, input);
        for text in texts {
            assert!(err.contains(text), "kubectl {words:?}: no {text:?} in\n{err}");
        }
    }

    /// Waits until an object is not there.
    #[track_caller]
    pub fn wait_gone(&self, words: &[&str]) {
        wait_until(SOON, &format!("kubectl {words:?} finds nothing"), || {
            let said = self.run(words, "");
            said.err.contains("NotFound").then_some(())
        });
    }

    /// A command that goes on until it is dropped, such as a watch.
    pub fn begin(&self, name: &str, words: &[&str]) -> Process {
        let log = self.path(&format!("{name}.log"));
        Process::spawn(name, self.command(words), &log, Leash::Watchdog).unwrap()
    }
}

/// With one space between words, as columns have more or fewer.
fn squeezed(text: &str) -> String {
    let lines = text.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Only the controllers that we have too, so that nothing else writes.
fn judge(binary: &Path, dir: &Path) -> Side {
    let mut options = Options::named("judge");
    let controllers = "namespace-controller,garbage-collector-controller,serviceaccount-controller";
    options.controllers.push(format!("--controllers={controllers}"));
    let cluster = Cluster::start(binary, &options).unwrap();
    fs::copy(cluster.kubeconfig(), dir.join("kubeconfig")).unwrap();
    Side::Judge { _cluster: cluster }
}

async fn ours(dir: &Path) -> Side {
    let config = Config { now, ..common::config() };
    let server = ApiServer::start(Arc::new(Embedded::in_memory()), config).await.unwrap();
    let authority = Authority::load_or_create(&dir.join("pki"), "test", now()).unwrap();
    let identity = authority.server(&["localhost".into(), "127.0.0.1".into()], now()).unwrap();
    let client_authority_pem = Some(authority.certificate_pem().to_owned());
    let tls = TlsConfig { identity, client_authority_pem, late: None };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = listen(server.clone(), listener, &tls, Vec::new()).unwrap();
    let admin = authority.client("admin", "system:masters", now()).unwrap();
    let url = format!("https://{}", serving.address());
    let config = kubeconfig(&url, authority.certificate_pem(), &admin);
    fs::write(dir.join("kubeconfig"), config.to_string()).unwrap();
    Side::Ours { server, _serving: serving }
}

/// JSON is YAML.
fn kubeconfig(url: &str, authority: &str, admin: &Identity) -> Value {
    let b64 = |pem: &str| STANDARD.encode(pem);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": url, "certificate-authority-data": b64(authority)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": b64(&admin.certificate_pem),
            "client-key-data": b64(&admin.key_pem)}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    })
}
