//! On real Kubernetes: a member's token is renewed before it ends, and the member stays Ready.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{fs, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use kogge_apiserver::User;
use kogge_hub::{Hub, Options};
use kogge_member::{Apply, Client, Resource};
use kogge_store::Embedded;
use kogge_testkit::{
    kube::{self, Cluster},
    wait_until_async,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

/// The hub's clock: past two thirds of a token of an hour.
#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn later() -> Timestamp {
    Timestamp::now() + SignedDuration::from_mins(45)
}

async fn apply(client: &Client, object: &Value) {
    let text = |path: &str| kogge_member::object::text(object, path).to_owned();
    let resource = client.resource(&text("/apiVersion"), &text("/kind")).await.unwrap();
    let how = Apply { manager: "test", force: true, dry_run: false };
    client.apply(&resource, object, how).await.unwrap();
}

/// An account that may do everything, and a token of an hour for it.
async fn account(member: &Client) -> String {
    apply(
        member,
        &json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "kogge", "namespace": "default"}}),
    )
    .await;
    apply(
        member,
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding", "metadata": {"name": "kogge"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "kogge", "namespace": "default"}]}),
    )
    .await;
    let accounts = Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true);
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600}});
    let answer = member.post(&accounts, "default", "kogge", "token", &request).await.unwrap();
    answer["status"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_at_two_thirds_of_its_life() {
    let Some(binary) = kube::or_skip() else { return };
    let cluster = Cluster::start(&binary, &kube::Options::named("token")).unwrap();
    let kubeconfig = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let member = kogge_member::from_kubeconfig(&kubeconfig, None).await.unwrap();
    let first = account(&member).await;
    let server = kubeconfig.lines().find_map(|it| it.trim().strip_prefix("server: ")).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::in_memory());
    let options = Options { store, now: later, data_dir: dir.path().to_owned() };
    let hub = Hub::start(options).await.unwrap();
    let client = kogge_member::from_service(hub.server().local(User::system("test")));
    apply(
        &client,
        &json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "member", "namespace": "default"},
        "data": {"token": STANDARD.encode(&first)}}),
    )
    .await;
    apply(
        &client,
        &json!({"apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
        "metadata": {"name": "member"},
        "spec": {"syncMode": "Push", "apiEndpoint": server.trim_matches('"'),
            "insecureSkipTLSVerification": true,
            "secretRef": {"name": "member", "namespace": "default"}}}),
    )
    .await;

    let secrets = Resource::new("", "v1", "Secret", "secrets", true);
    let second = wait_until_async(SOON, "the token is another", || async {
        let secret = client.get(&secrets, "default", "member").await.ok()?;
        let token = STANDARD.decode(secret["data"]["token"].as_str()?).ok()?;
        String::from_utf8(token).ok().filter(|it| *it != first)
    })
    .await;
    assert_eq!(second.split('.').count(), 3, "a token of the member's API server");
    let clusters = client.resource("cluster.karmada.io/v1alpha1", "Cluster").await.unwrap();
    wait_until_async(SOON, "the cluster is Ready", || async {
        let cluster = client.get(&clusters, "", "member").await.ok()?;
        let conditions = cluster.pointer("/status/conditions")?.as_array()?;
        conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True").then_some(())
    })
    .await;
}
