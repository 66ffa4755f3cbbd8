//! The four components and their flags. Data only; `cluster` runs them.

use std::path::Path;
use std::process::Command;

use super::Options;
use super::certs::Files;

/// The ports of one control plane, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub etcd: u16,
    pub etcd_peers: u16,
    pub api: u16,
}

/// `binary component flags...`, leaving when its standard input closes.
pub fn command(binary: &Path, component: &str, flags: Vec<String>) -> Command {
    let mut command = Command::new(binary);
    command.arg(component).args(flags).env("KUBE_EXIT_WITH_STDIN", "1");
    command
}

pub fn etcd(data: &Path, ports: Ports, options: &Options) -> Vec<String> {
    let (clients, peers) = (loopback(ports.etcd), loopback(ports.etcd_peers));
    let mut flags = vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        "--log-level=warn".to_owned(),
    ];
    if !options.fsync {
        flags.push("--unsafe-no-fsync".to_owned());
    }
    flags
}

pub fn apiserver(files: &Files, ports: Ports, options: &Options) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers={}", loopback(ports.etcd)),
        format!("--secure-port={}", ports.api),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // Without it the API server refuses to announce a loopback address.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", files.path("sa.pub")),
        format!("--service-account-signing-key-file={}", files.path("sa.key")),
        format!("--client-ca-file={}", files.path("ca.crt")),
        format!("--tls-cert-file={}", files.path("server.crt")),
        format!("--tls-private-key-file={}", files.path("server.key")),
    ];
    flags.extend(options.apiserver.iter().cloned());
    flags
}

pub fn controller_manager(files: &Files, kubeconfig: &Path, options: &Options) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // The default of 20 a second makes a namespace's content take minutes to settle.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        format!("--service-account-private-key-file={}", files.path("sa.key")),
        format!("--root-ca-file={}", files.path("ca.crt")),
        format!("--cluster-signing-cert-file={}", files.path("ca.crt")),
        format!("--cluster-signing-key-file={}", files.path("ca.key")),
    ];
    flags.extend(options.controllers.iter().cloned());
    flags
}

/// The scheduler's limits stand in a file: its flags for them are gone.
pub fn scheduler(config: &Path) -> Vec<String> {
    vec![format!("--config={}", config.display()), "--secure-port=0".to_owned()]
}

pub fn scheduler_config(kubeconfig: &Path) -> String {
    format!(
        "apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {{leaderElect: false}}
clientConnection: {{kubeconfig: {}, qps: 500, burst: 1000}}
",
        kubeconfig.display()
    )
}

fn loopback(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
