//! What `up` writes to its hub: the members at each start, the sample once.

use std::{fs, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_agent::SYSTEM_NAMESPACE;
use kogge_git::Author;
use kogge_member::{Apply, Client};
use serde_json::{Value, json};

use super::members::Member;
use crate::commands::{init, join};

/// The name of the sample: its repository, its source and what is rendered from it.
pub const PROJECT: &str = "my-project";

const HOW: Apply<'_> = Apply { manager: "kogge-up", force: true, dry_run: false };

/// Members have other ports and tokens at each start, so this is written at each.
pub async fn join(hub: &Client, members: &[Member]) -> anyhow::Result<()> {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}});
    apply(hub, &namespace).await?;
    for member in members {
        let secret = join::secret_name(&member.name);
        let data = json!({
            "token": STANDARD.encode(&member.token),
            "caBundle": STANDARD.encode(&member.endpoint.admin.ca),
        });
        apply(
            hub,
            &json!({"apiVersion": "v1", "kind": "Secret", "data": data,
            "metadata": {"name": secret, "namespace": SYSTEM_NAMESPACE}}),
        )
        .await?;
        apply(
            hub,
            &json!({
                "apiVersion": "cluster.karmada.io/v1alpha1", "kind": "Cluster",
                "metadata": {"name": member.name},
                "spec": {
                    "syncMode": "Push", "apiEndpoint": member.url(),
                    "provider": "simulator", "region": member.region,
                    "secretRef": {"namespace": SYSTEM_NAMESPACE, "name": secret},
                },
            }),
        )
        .await?;
    }
    Ok(())
}

/// The sample repository and what follows it. Made once: what a person changes of it stays.
pub async fn sample(hub: &Client, dir: &Path, now: Timestamp) -> anyhow::Result<()> {
    let mark = dir.join("sample");
    if mark.exists() {
        return Ok(());
    }
    let repository = dir.join(PROJECT);
    if !repository.join(".git").exists() {
        let files = init::FILES.map(|(path, _, content)| (path, content));
        let author = Author { name: "kogge".into(), email: "kogge@localhost".into() };
        kogge_git::init_with(&repository, &files, "A first version", &author, now)?;
    }
    for object in sample_objects(&format!("file://{}", repository.display())) {
        apply(hub, &object).await?;
    }
    fs::write(&mark, "").with_context(|| format!("could not write {}", mark.display()))
}

fn sample_objects(url: &str) -> [Value; 4] {
    let metadata = json!({"name": PROJECT, "namespace": SYSTEM_NAMESPACE});
    [
        json!({
            "apiVersion": "policy.karmada.io/v1alpha1", "kind": "ClusterPropagationPolicy",
            "metadata": {"name": "everywhere"},
            "spec": {
                "resourceSelectors": [{"apiVersion": "*", "kind": "*"}],
                "propagateDeps": true,
                "placement": {"clusterAffinity": {}},
            },
        }),
        json!({
            "apiVersion": "autoscaling/v1beta2", "kind": "ClusterAutoscaler",
            "metadata": {"name": "kubernetes-autoscaler"},
            "spec": {
                "scaleDownUnneededWorkloads": true,
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "minAvailable": 1, "maxAvailable": 10, "minPods": 5, "maxPods": 50,
                "scaleDownUnneededTime": "10s",
            },
        }),
        json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": metadata,
            "spec": {"url": url, "interval": "2s", "ref": {"branch": "main"}},
        }),
        json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": metadata,
            "spec": {
                "interval": "1m", "path": "./manifests", "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": PROJECT},
            },
        }),
    ]
}

async fn apply(hub: &Client, object: &Value) -> anyhow::Result<()> {
    let text = |path: &str| kogge_member::object::text(object, path).to_owned();
    let failed = || format!("could not write {} {}", text("/kind"), text("/metadata/name"));
    let resource = hub.resource(&text("/apiVersion"), &text("/kind")).await.with_context(failed)?;
    hub.apply(&resource, object, HOW).await.with_context(failed)?;
    Ok(())
}
