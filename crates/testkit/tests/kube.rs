//! Real control planes: they work, several at once, and nothing of them stays behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kogge_testkit::kube::{self, Cluster, Options};
use kogge_testkit::kubectl::{self, Version};
use kogge_testkit::process::{self, Leash};
use kogge_testkit::{Process, wait_until};

/// Set for the child that holds a cluster until it is killed; names the file to report to.
const HOLD: &str = "KOGGE_TESTKIT_HOLD";

const SOON: Duration = Duration::from_secs(30);

fn kubectl_says(kubectl: &Path, cluster: &Cluster, arguments: &[&str]) -> String {
    let mut command = kubectl::command(kubectl, cluster.kubeconfig());
    let output = command.args(arguments).output().expect("kubectl was found");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("kubectl prints UTF-8")
}

fn pids(cluster: &mut Cluster) -> Vec<u32> {
    cluster.processes().iter().map(Process::pid).collect()
}

#[track_caller]
fn all_gone(pids: &[u32]) {
    wait_until(SOON, "every process of the cluster is gone", || {
        (!pids.iter().any(|pid| process::is_alive(*pid))).then_some(())
    });
}

#[test]
fn two_control_planes_run_side_by_side_and_leave_nothing() {
    let Some(binary) = kube::or_skip() else { return };
    let Some(kubectl) = kubectl::or_skip(Version::V1_37) else { return };
    let mut first = Cluster::start(&binary, &Options::named("first")).unwrap();
    let mut second = Cluster::start(&binary, &Options::named("second")).unwrap();

    let create = ["create", "deployment", "web", "--image=web", "--replicas=2"];
    kubectl_says(&kubectl, &first, &create);
    let sets = wait_until(SOON, "a ReplicaSet in the first cluster", || {
        let said = kubectl_says(&kubectl, &first, &["get", "replicasets", "-o", "name"]);
        (!said.is_empty()).then_some(said)
    });
    assert!(sets.starts_with("replicaset.apps/web-"), "{sets}");
    let elsewhere = kubectl_says(&kubectl, &second, &["get", "replicasets", "-o", "name"]);
    assert_eq!(elsewhere, "", "the clusters share nothing");

    let all = [pids(&mut first), pids(&mut second)].concat();
    assert_eq!(all.len(), 8);
    assert!(all.iter().all(|pid| process::is_alive(*pid)));
    let files = first.kubeconfig().parent().unwrap().to_owned();
    drop((first, second));
    assert!(!all.iter().any(|pid| process::is_alive(*pid)), "gone when drop returns");
    assert!(!files.exists(), "its files are removed");
}

#[test]
fn a_killed_holder_leaves_no_process() {
    if kube::or_skip().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("pids");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "holds_a_cluster_for_its_parent", "--nocapture"]);
    // Its files lie in our folder, since a killed process removes nothing.
    command.env(HOLD, &report);
    let log = dir.path().join("holder.log");
    let mut holder = Process::spawn("holder", command, &log, Leash::Watchdog).unwrap();
    let held = wait_until(Duration::from_secs(90), "the child holds a cluster", || {
        let ended = holder.status().unwrap();
        assert!(ended.is_none(), "the child ended: {}", holder.log());
        fs::read_to_string(&report).ok().filter(|it| it.ends_with('\n'))
    });
    let pids: Vec<u32> = held.split_whitespace().map(|it| it.parse().unwrap()).collect();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| process::is_alive(*pid)));
    holder.kill().unwrap();
    all_gone(&pids);
}

/// No test of its own: the child of [`a_killed_holder_leaves_no_process`].
#[test]
fn holds_a_cluster_for_its_parent() {
    let Some(report) = std::env::var_os(HOLD) else { return };
    let dir = Path::new(&report).with_file_name("cluster");
    let options = Options { dir: Some(dir), ..Options::named("held") };
    let mut cluster = Cluster::start(&kube::binary().unwrap(), &options).unwrap();
    let pids: Vec<String> = pids(&mut cluster).iter().map(u32::to_string).collect();
    fs::write(&report, pids.join(" ") + "\n").unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_component_that_ends_at_once_is_reported_with_its_last_words() {
    let Some(binary) = kube::or_skip() else { return };
    let options =
        Options { apiserver: vec!["--no-such-flag".to_owned()], ..Options::named("broken") };
    let error = Cluster::start(&binary, &options).expect_err("the flag is unknown");
    let text = format!("{error:#}");
    assert!(text.contains("kube-apiserver ended") && text.contains("no-such-flag"), "{text}");
    let logs = text.strip_prefix("logs are kept in ").unwrap().split(':').next().unwrap();
    assert!(Path::new(logs).join("kube-apiserver.log").is_file(), "{text}");
    fs::remove_dir_all(Path::new(logs).parent().unwrap()).unwrap();
}
