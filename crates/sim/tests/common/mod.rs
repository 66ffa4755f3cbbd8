//! A simulated member, and how tests look at it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

use std::{sync::Arc, time::Duration};

use kogge_apiserver::Authorization;
use kogge_member::{Client, DeleteOptions, Resource, object};
use kogge_sim::{Faults, SimMember, SimOptions, default_group};
use kogge_store::Embedded;
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

/// Long enough for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests wire the clock")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

pub struct Member {
    pub sim: SimMember,
    pub client: Client,
}

pub async fn start(nodes: u32) -> Member {
    start_slow(nodes, Duration::ZERO).await
}

/// Pods take `start_delay` to run.
pub async fn start_slow(nodes: u32, start_delay: Duration) -> Member {
    let mut group = default_group();
    group.initial = nodes;
    let options = SimOptions {
        name: "member1".to_owned(),
        store: Arc::new(Embedded::in_memory()),
        groups: vec![group],
        faults: Faults::default(),
        start_delay,
        now,
        authorization: Authorization::Rbac,
    };
    let sim = SimMember::start(options).await.unwrap();
    let client = sim.client();
    Member { sim, client }
}

/// `kind` as it is served, such as `Deployment`.
pub fn kind(kind: &str) -> Resource {
    let (group, version, plural, namespaced) = match kind {
        "Deployment" => ("apps", "v1", "deployments", true),
        "ReplicaSet" => ("apps", "v1", "replicasets", true),
        "StatefulSet" => ("apps", "v1", "statefulsets", true),
        "DaemonSet" => ("apps", "v1", "daemonsets", true),
        "ControllerRevision" => ("apps", "v1", "controllerrevisions", true),
        "Job" => ("batch", "v1", "jobs", true),
        "CronJob" => ("batch", "v1", "cronjobs", true),
        "HorizontalPodAutoscaler" => ("autoscaling", "v2", "horizontalpodautoscalers", true),
        "EndpointSlice" => ("discovery.k8s.io", "v1", "endpointslices", true),
        "StorageClass" => ("storage.k8s.io", "v1", "storageclasses", false),
        "NodeGroup" => ("kogge.dev", "v1alpha1", "nodegroups", false),
        "Node" => ("", "v1", "nodes", false),
        "Pod" => ("", "v1", "pods", true),
        "Service" => ("", "v1", "services", true),
        "ServiceAccount" => ("", "v1", "serviceaccounts", true),
        "Endpoints" => ("", "v1", "endpoints", true),
        "PersistentVolumeClaim" => ("", "v1", "persistentvolumeclaims", true),
        other => panic!("no kind {other} here"),
    };
    Resource::new(group, version, kind, plural, namespaced)
}

impl Member {
    /// Creates an object of the namespace `default`.
    pub async fn create(&self, of: &str, name: &str, spec: Value) -> Value {
        let resource = kind(of);
        let it = json!({"apiVersion": resource.api_version(), "kind": of,
            "metadata": {"name": name, "namespace": "default"}, "spec": spec});
        self.client.create(&resource, &it).await.unwrap()
    }

    pub async fn patch(&self, of: &str, name: &str, patch: Value) -> Value {
        self.client.merge(&kind(of), "default", name, None, &patch).await.unwrap()
    }

    pub async fn list(&self, of: &str) -> Vec<Value> {
        self.client.list(&kind(of), "", "").await.unwrap()
    }

    pub async fn get(&self, of: &str, name: &str) -> Value {
        self.client.get(&kind(of), "default", name).await.unwrap()
    }

    pub async fn delete(&self, of: &str, name: &str) {
        self.client.delete(&kind(of), "default", name, &DeleteOptions::default()).await.unwrap();
    }

    /// Waits until what is listed is as wanted.
    pub async fn until(&self, of: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let (resource, wanted) = (kind(of), &wanted);
        let last = std::sync::Mutex::new(Vec::new());
        let look = || async {
            let found = self.client.list(&resource, "", "").await.ok()?;
            last.lock().unwrap().clone_from(&found);
            wanted(&found).then_some(found)
        };
        let waited = tokio::time::timeout(SOON, wait_until_async(SOON * 2, of, look)).await;
        waited.unwrap_or_else(|_| {
            let found = Value::from(std::mem::take(&mut *last.lock().unwrap()));
            panic!("{of} are not as wanted:\n{found:#}")
        })
    }

    /// Waits until the object is as wanted.
    pub async fn until_one(&self, of: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let named = |all: &[Value]| all.iter().any(|it| object::name(it) == name && wanted(it));
        let mut all = self.until(of, named).await;
        all.retain(|it| object::name(it) == name);
        all.remove(0)
    }
}

pub fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}]}})
}

/// A spec that selects the pods of [`template`].
pub fn spec(image: &str, more: &Value) -> Value {
    let mut spec =
        json!({"selector": {"matchLabels": {"app": "web"}}, "template": template(image)});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

pub fn condition<'a>(it: &'a Value, kind: &str) -> &'a Value {
    let all = it["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|it| it["type"] == kind)).unwrap_or(&Value::Null)
}

pub fn is_ready(it: &Value) -> bool {
    condition(it, "Ready")["status"] == "True"
}

pub fn image(pod: &Value) -> &str {
    object::text(pod, "/spec/containers/0/image")
}

/// All pods are there, ready, and of this image.
pub fn all_run(pods: &[Value], count: usize, of: &str) -> bool {
    pods.len() == count && pods.iter().all(|it| is_ready(it) && image(it) == of)
}

/// A Deployment whose rollout is over, with so many replicas.
pub fn is_done(deployment: &Value, replicas: i64) -> bool {
    let status = &deployment["status"];
    let counts = ["replicas", "updatedReplicas", "availableReplicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && counts.iter().all(|it| status[it] == replicas)
        && condition(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"
}
