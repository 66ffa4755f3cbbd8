//! StatefulSets and DaemonSets on a simulated member.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod common;

use common::{all_run, condition, image, is_ready, kind, spec, start, template};
use kogge_member::object;
use serde_json::{Value, json};

fn claims() -> Value {
    json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}}])
}

fn names(all: &[Value]) -> Vec<&str> {
    all.iter().map(object::name).collect()
}

#[tokio::test]
async fn a_stateful_set_rolls_down_to_its_partition() {
    let member = start(1).await;
    let more = json!({"replicas": 3, "serviceName": "db", "updateStrategy":
        {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
    member.create("StatefulSet", "db", spec("a", &more)).await;
    let pods = member.until("Pod", |it| all_run(it, 3, "a")).await;
    assert_eq!(names(&pods), ["db-0", "db-1", "db-2"]);
    member.patch("StatefulSet", "db", json!({"spec": {"template": template("b")}})).await;
    let images = |pods: &[Value]| pods.iter().map(|it| image(it).to_owned()).collect::<Vec<_>>();
    member.until("Pod", |it| it.iter().all(is_ready) && images(it) == ["a", "a", "b"]).await;
    let set = member
        .until_one("StatefulSet", "db", |it| {
            it["status"]["updatedReplicas"] == 1 && it["status"]["readyReplicas"] == 3
        })
        .await;
    assert_ne!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    // A pod below the partition comes back as it was.
    let first = member.get("Pod", "db-0").await;
    member.delete("Pod", "db-0").await;
    let again = |it: &Value| object::uid(it) != object::uid(&first) && is_ready(it);
    assert_eq!(image(&member.until_one("Pod", "db-0", again).await), "a");
    let all = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}});
    member.patch("StatefulSet", "db", all).await;
    member.until("Pod", |it| all_run(it, 3, "b")).await;
    let set = member
        .until_one("StatefulSet", "db", |it| {
            it["status"]["currentRevision"] == it["status"]["updateRevision"]
        })
        .await;
    assert_eq!(set["status"]["currentReplicas"], 3);
    assert_eq!(member.list("ControllerRevision").await.len(), 2);
}

#[tokio::test]
async fn a_pod_waits_for_its_claim_and_says_so() {
    let member = start(1).await;
    let more = json!({"replicas": 2, "serviceName": "db", "volumeClaimTemplates": claims()});
    member.create("StatefulSet", "db", spec("a", &more)).await;
    let made = member.until("PersistentVolumeClaim", |it| !it.is_empty()).await;
    assert_eq!(names(&made), ["data-db-0"]);
    assert_eq!(made[0]["status"]["phase"], "Pending");
    let why = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let pod =
        member.until_one("Pod", "db-0", |it| condition(it, "PodScheduled")["message"] == why).await;
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(condition(&pod, "PodScheduled")["reason"], "Unschedulable");
    assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-db-0");
    // Somebody provides it: the pod runs, and the next one waits for its own.
    let bound = json!({"status": {"phase": "Bound"}});
    let (claims, name) = (kind("PersistentVolumeClaim"), "data-db-0");
    member.client.merge(&claims, "default", name, Some("status"), &bound).await.unwrap();
    member.until_one("Pod", "db-0", is_ready).await;
    member.until_one("PersistentVolumeClaim", "data-db-1", |_| true).await;
    // The claims outlive their set.
    member.delete("StatefulSet", "db").await;
    member.until("Pod", <[Value]>::is_empty).await;
    assert_eq!(member.list("PersistentVolumeClaim").await.len(), 2);
}

#[tokio::test]
async fn a_pod_that_names_a_claim_waits_for_it_too() {
    let member = start(1).await;
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "late"}, "provisioner": "example.com/none",
        "volumeBindingMode": "WaitForFirstConsumer"});
    member.client.create(&kind("StorageClass"), &class).await.unwrap();
    let pod = json!({"containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]});
    member.create("Pod", "web", pod).await;
    let says = |why: &'static str| {
        move |it: &Value| {
            condition(it, "PodScheduled")["message"].as_str().is_some_and(|it| it.ends_with(why))
        }
    };
    let missing = says("persistentvolumeclaim \"data\" not found.");
    member.until_one("Pod", "web", missing).await;
    let claim = json!({"storageClassName": "late", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}});
    member.create("PersistentVolumeClaim", "data", claim).await;
    let none = says("1 node(s) didn't find available persistent volumes to bind.");
    member.until_one("Pod", "web", none).await;
}

#[tokio::test]
async fn a_daemon_set_rolls_out_node_by_node() {
    let member = start(3).await;
    member.create("DaemonSet", "d", spec("a", &json!({}))).await;
    member.until("Pod", |it| all_run(it, 3, "a")).await;
    member.patch("DaemonSet", "d", json!({"spec": {"template": template("b")}})).await;
    let mut least = usize::MAX;
    let watched = async {
        loop {
            let pods = member.list("Pod").await;
            least = least.min(pods.iter().filter(|it| is_ready(it)).count());
            if all_run(&pods, 3, "b") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::SOON, watched).await.unwrap();
    assert!(2 <= least, "one node at a time: {least}");
    let set =
        member.until_one("DaemonSet", "d", |it| it["status"]["updatedNumberScheduled"] == 3).await;
    assert_eq!(set["status"]["numberAvailable"], 3);
    assert_eq!(member.list("ControllerRevision").await.len(), 2);
}

#[tokio::test]
async fn on_delete_an_old_daemon_stays_until_it_is_deleted() {
    let member = start(2).await;
    let more = json!({"updateStrategy": {"type": "OnDelete"}});
    member.create("DaemonSet", "d", spec("a", &more)).await;
    let pods = member.until("Pod", |it| all_run(it, 2, "a")).await;
    member.patch("DaemonSet", "d", json!({"spec": {"template": template("b")}})).await;
    let seen = |it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
    let set = member.until_one("DaemonSet", "d", seen).await;
    assert!(set["status"]["updatedNumberScheduled"].as_i64().unwrap_or(0) == 0);
    member.delete("Pod", object::name(&pods[0])).await;
    member
        .until("Pod", |it| {
            let new = it.iter().filter(|it| image(it) == "b" && is_ready(it)).count();
            it.len() == 2 && new == 1
        })
        .await;
}

#[tokio::test]
async fn daemons_follow_nodes_and_go_with_them() {
    let member = start(1).await;
    member.create("DaemonSet", "d", spec("a", &json!({}))).await;
    member.until("Pod", |it| all_run(it, 1, "a")).await;
    let resize = |many: u32| json!({"spec": {"desiredSize": many}});
    let groups = kind("NodeGroup");
    member.client.merge(&groups, "", "default", None, &resize(2)).await.unwrap();
    member.until("Pod", |it| all_run(it, 2, "a")).await;
    let given_up = json!({"metadata": {"annotations": {"kogge.dev/delete": "true"}}});
    member.client.merge(&kind("Node"), "", "default-2", None, &given_up).await.unwrap();
    member.client.merge(&groups, "", "default", None, &resize(1)).await.unwrap();
    let pods = member.until("Pod", |it| all_run(it, 1, "a")).await;
    assert_eq!(pods[0]["spec"]["nodeName"], "default-1");
}
