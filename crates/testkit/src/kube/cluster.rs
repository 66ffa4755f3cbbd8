//! Starts a control plane and holds it; dropping stops it.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::certs::{self, Admin, Files};
use super::components::{self, Ports};
use super::probe::Probe;
use crate::ports;
use crate::process::{Leash, Process};
use crate::wait::{Deadline, poll};

/// A component that does not answer by then never will; a busy machine needs some of it.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Another process may take a port between our choice and the component's use of it.
const ATTEMPTS: usize = 3;

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the context, cluster and user in the kubeconfig.
    pub name: String,
    /// Whether etcd waits for the disk: off for tests, on to compare durable writes.
    pub fsync: bool,
    /// Further flags of the API server.
    pub apiserver: Vec<String>,
    /// Further flags of the controller manager, such as
    /// `--controllers=*,-node-lifecycle-controller`.
    pub controllers: Vec<String>,
    /// Where its files go, which are kept then; a temporary folder otherwise.
    pub dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "kube".to_owned(),
            fsync: false,
            apiserver: Vec::new(),
            controllers: Vec::new(),
            dir: None,
        }
    }
}

impl Options {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// A running control plane that answers, with a default service account to run pods under.
///
/// Dropping it kills its processes and removes its files; after a panic the logs stay, and
/// their path is said. When its holder is killed, its processes end by themselves.
#[derive(Debug)]
pub struct Cluster {
    /// In the order of their start; stopped in the reverse.
    processes: Vec<Process>,
    probe: Probe,
    url: String,
    kubeconfig: PathBuf,
    home: Home,
}

/// The folder of a cluster, removed with it if it is temporary.
#[derive(Debug)]
struct Home {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Cluster {
    /// Starts `binary` (see [`super::binary`]); takes 5 to 10 seconds.
    pub fn start(binary: &Path, options: &Options) -> anyhow::Result<Self> {
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            match start_once(binary, options) {
                Ok(cluster) => return Ok(cluster),
                Err(error) if format!("{error:#}").contains("address already in use") => {
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow::anyhow!("no attempt was made")))
    }

    /// The admin's kubeconfig; certificates are embedded, so that it may be copied.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder with one log for each component.
    pub fn logs(&self) -> PathBuf {
        self.home.logs()
    }

    /// etcd, kube-apiserver, kube-controller-manager and kube-scheduler: a test may measure
    /// them, or stop one to see what happens.
    pub fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// Asks the API server as its admin: the status code and the body.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.probe.get(path)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        while let Some(process) = self.processes.pop() {
            drop(process);
        }
        if thread::panicking() {
            eprintln!("the logs of this cluster are in {}", self.home.keep_logs().display());
        }
    }
}

impl Home {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let home = if let Some(path) = &options.dir {
            Self { path: path.clone(), temporary: None }
        } else {
            let dir = tempfile::Builder::new().prefix("kogge-kube-").tempdir()?;
            Self { path: dir.path().to_owned(), temporary: Some(dir) }
        };
        fs::create_dir_all(home.logs())
            .with_context(|| format!("could not make {}", home.logs().display()))?;
        Ok(home)
    }

    fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    fn log(&self, component: &str) -> PathBuf {
        self.logs().join(format!("{component}.log"))
    }

    fn data(&self) -> PathBuf {
        self.path.join("etcd")
    }

    /// Keeps a temporary folder, without its database, which is the bulk of it.
    fn keep_logs(&mut self) -> PathBuf {
        if let Some(dir) = self.temporary.take() {
            let _ = dir.keep();
            // Without its database is better, with it is no harm.
            let _ = fs::remove_dir_all(self.data());
        }
        self.logs()
    }
}

/// One attempt; its processes are gone and its logs kept when it fails.
fn start_once(binary: &Path, options: &Options) -> anyhow::Result<Cluster> {
    let mut home = Home::new(options)?;
    let mut processes = Vec::new();
    match bring_up(binary, options, &home, &mut processes) {
        Ok((probe, url, kubeconfig)) => Ok(Cluster { processes, probe, url, kubeconfig, home }),
        Err(error) => {
            processes.clear();
            let logs = home.keep_logs();
            Err(error.context(format!("logs are kept in {}", logs.display())))
        }
    }
}

fn bring_up(
    binary: &Path,
    options: &Options,
    home: &Home,
    running: &mut Vec<Process>,
) -> anyhow::Result<(Probe, String, PathBuf)> {
    let ports = Ports { etcd: ports::free()?, etcd_peers: ports::free()?, api: ports::free()? };
    let (files, admin) = certs::write(&home.path.join("pki"))?;
    let url = format!("https://127.0.0.1:{}", ports.api);
    let kubeconfig =
        certs::save(&home.path, "kubeconfig", &kubeconfig(&options.name, &url, &admin))?;
    let probe = Probe::new(ports.api, &admin)?;
    let mut launch = |component: &str, flags| -> anyhow::Result<()> {
        let command = components::command(binary, component, flags);
        let process = Process::spawn(component, command, &home.log(component), Leash::Stdin)
            .with_context(|| format!("could not start {component} of {}", binary.display()))?;
        running.push(process);
        let process = running.last_mut().expect("pushed just now");
        match component {
            "etcd" => {
                ready(process, || TcpStream::connect((Ipv4Addr::LOCALHOST, ports.etcd)).is_ok())
            }
            "kube-apiserver" => ready(process, || answers(&probe, "/readyz")),
            _ => Ok(()),
        }
    };
    launch("etcd", components::etcd(&home.data(), ports, options))?;
    launch("kube-apiserver", components::apiserver(&files, ports, options))?;
    start_controllers(&files, &kubeconfig, home, options, &mut launch)?;
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    let controllers = &mut running[2];
    ready(controllers, || answers(&probe, account))?;
    Ok((probe, url, kubeconfig))
}

/// The two that are clients of the API server; neither is waited for here.
fn start_controllers(
    files: &Files,
    kubeconfig: &Path,
    home: &Home,
    options: &Options,
    launch: &mut impl FnMut(&str, Vec<String>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let flags = components::controller_manager(files, kubeconfig, options);
    launch("kube-controller-manager", flags)?;
    let config = components::scheduler_config(kubeconfig);
    let config = certs::save(&home.path, "scheduler.yaml", &config)?;
    launch("kube-scheduler", components::scheduler(&config))
}

fn answers(probe: &Probe, path: &str) -> bool {
    probe.get(path).is_ok_and(|(status, _)| status == 200)
}

/// Waits for `is_ready`; an error when the process ends, or takes too long.
fn ready(process: &mut Process, is_ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let name = process.name().to_owned();
    let answer = poll(Deadline::after(START_LIMIT), || {
        if let Some(status) = process.status()? {
            let tail = process.log_tail(15);
            bail!("{name} ended with {status}; its last words were:\n{tail}");
        }
        Ok(is_ready().then_some(()))
    })?;
    answer.with_context(|| {
        let tail = process.log_tail(15);
        format!("{name} was not ready within {START_LIMIT:?}; it said last:\n{tail}")
    })
}

fn kubeconfig(name: &str, url: &str, admin: &Admin) -> String {
    let ca = STANDARD.encode(&admin.ca);
    let cert = STANDARD.encode(&admin.identity.cert);
    let key = STANDARD.encode(&admin.identity.key);
    format!(
        "apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {url}
    certificate-authority-data: {ca}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}-admin
users:
- name: {name}-admin
  user:
    client-certificate-data: {cert}
    client-key-data: {key}
"
    )
}
