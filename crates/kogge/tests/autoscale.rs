//! The autoscaler on simulated members: nodes for pods that wait, and fewer when they are gone.

mod common;

use common::{Kubectl, SOON, up};
use kogge_testkit::wait_until;

const WEB: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment",
"metadata": {"name": "web", "namespace": "shop"},
"spec": {"replicas": 40, "selector": {"matchLabels": {"app": "web"}}, "template": {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx",
        "resources": {"requests": {"cpu": "500m", "memory": "64Mi"}}}]}}}}"#;

/// The four numbers of each cluster, by name.
const COUNTS: [&str; 4] = [
    "get",
    "clusterautoscalers",
    "-o",
    "jsonpath={range .items[*].status.clusters[*]}{.name} {.currentNodeCount} \
     {.desiredScaleUpCount} {.desiredScaleDownCount} {.newNodeCount}\n{end}",
];

/// Looks once, checks what holds at every moment, and says how many nodes each cluster has.
fn nodes(fleet: &Kubectl) -> Vec<usize> {
    let said = fleet.ok(&COUNTS);
    let read = |line: &str| -> Vec<usize> {
        line.split(' ').skip(1).map(|it| it.parse().expect("a number")).collect()
    };
    let counts: Vec<Vec<usize>> = said.lines().map(read).collect();
    for it in &counts {
        assert_eq!(it[3] + it[2], it[0] + it[1], "new = current + up - down: {said}");
        assert!(it[1] == 0 || it[2] == 0, "up and down at once: {said}");
        assert!((1..=10).contains(&it[3]), "minAvailable to maxAvailable: {said}");
    }
    counts.iter().map(|it| it[0]).collect()
}

#[test]
fn nodes_come_when_pods_wait_and_go_when_they_are_not_needed() {
    let dir = tempfile::tempdir().expect("temp dir");
    let data = dir.path().join("data");
    let Some(fleet) = Kubectl::or_skip(data.join("kubeconfig")) else { return };
    let process = up(&data);
    let web = dir.path().join("web.json");
    std::fs::write(&web, WEB).expect("written");
    fleet.ok(&["create", "namespace", "shop"]);
    fleet.ok(&["apply", "-f", web.to_str().expect("text")]);
    // Seven pods of 500m fit a node of 4 CPU beside the sample's.
    let grown = |it: &Vec<usize>| it.len() == 3 && it.iter().all(|it| 5 < *it);
    wait_until(SOON, "every cluster has grown", || Some(nodes(&fleet)).filter(grown));
    fleet.ok(&["rollout", "status", "deploy/web", "-n", "shop", "--timeout=60s"]);
    fleet.wait(&["get", "deploy", "web", "-n", "shop"], "40/40");
    fleet.wait(&["get", "events"], "TriggeredScaleUp");

    fleet.ok(&["scale", "deploy", "web", "-n", "shop", "--replicas=2"]);
    wait_until(SOON, "every cluster has one node again", || {
        Some(nodes(&fleet)).filter(|it| *it == [1, 1, 1])
    });
    fleet.wait(&["get", "deploy", "web", "-n", "shop"], "2/2");
    fleet.wait(&["get", "events"], "NodeRemoved");

    // Past maxPods (50) pending pods get no nodes, and that is said.
    fleet.ok(&["scale", "deploy", "web", "-n", "shop", "--replicas=60"]);
    fleet.wait(&["get", "events"], "MaxPodsReached");
    assert!(nodes(&fleet).iter().all(|it| *it <= 10), "{}", process.log_tail(20));
}
