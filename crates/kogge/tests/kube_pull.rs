//! The same on real Kubernetes: a control plane that no hub dials joins, heals and leaves.

mod common;
mod pulled;

use common::{Kubectl, SOON};
use kogge_testkit::kube::{self, Cluster, Options};
use pulled::{Hub, POLICY, agent};

const WEB: [&str; 5] = ["get", "deployment", "web", "-n", "shop"];

#[test]
fn a_real_cluster_joins_by_its_own_agent_and_goes_on_without_its_hub() {
    let Some(binary) = kube::or_skip() else { return };
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(mut hub) = Hub::or_skip(dir.path(), "1h") else { return };
    let cluster = Cluster::start(&binary, &Options::named("pull")).expect("a cluster");
    let kubeconfig = cluster.kubeconfig().to_owned();
    let member = Kubectl { binary: hub.kubectl.binary.clone(), kubeconfig };
    let kept = dir.path().join("agent");
    let mut running = agent(&kept, &member.kubeconfig, &hub.token(&["eu"]));
    running.wait_log("eu is a member of the fleet", SOON);
    hub.kubectl.wait(&["get", "cluster", "eu"], "True");

    hub.apply("policy.json", POLICY);
    hub.kubectl.ok(&["create", "namespace", "shop"]);
    hub.kubectl.ok(&["create", "deployment", "web", "-n", "shop", "--image=nginx"]);
    member.wait(&WEB, "0/1");
    let status = [&WEB[..], &["-o", "jsonpath={.status.replicas}:"]].concat();
    hub.kubectl.wait(&status, "1:");

    hub.process.kill().expect("killed");
    running.kill().expect("killed");
    member.ok(&["scale", "deployment", "web", "-n", "shop", "--replicas=5"]);
    let mut running = agent(&kept, &member.kubeconfig, &["agent".to_owned()]);
    running.wait_log("going on by what it wanted last", SOON);
    member.wait(&WEB, "0/1");
    member.ok(&["delete", "deployment", "web", "-n", "shop"]);
    member.wait(&WEB, "0/1");

    hub.start_again();
    hub.kubectl.wait(&["get", "cluster", "eu"], "True");
    hub.kubectl.ok(&["delete", "deployment", "web", "-n", "shop"]);
    member.wait_gone(&WEB);
    hub.ok(&["unjoin", "eu"]);
    let ended = running.wait_exit(SOON).expect("waited").expect("the agent ends");
    assert!(ended.success(), "{}", running.log_tail(20));
}
