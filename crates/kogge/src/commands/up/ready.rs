//! What `up` waits for before it says that the fleet is ready.

use std::{io::Write, time::Duration};

use kogge_agent::SYSTEM_NAMESPACE;
use kogge_member::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::{members::Member, objects::PROJECT};

const POLL: Duration = Duration::from_millis(50);

/// Past this the fleet is left to come up by itself, and what is missing is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for members, then Git, then the sample; says each as it comes.
pub async fn wait(hub: &Client, members: &[Member], out: &mut dyn Write) -> anyhow::Result<()> {
    let clusters: Vec<(&str, &str)> = members.iter().map(|it| ("", it.name.as_str())).collect();
    let steps: [(&str, &str, &str, Vec<(&str, &str)>, &str); 3] = [
        ("clusters are Ready", "cluster.karmada.io/v1alpha1", "Cluster", clusters, "Ready"),
        (
            "Git is synced",
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            vec![(SYSTEM_NAMESPACE, PROJECT)],
            "Ready",
        ),
        (
            "the sample runs on every cluster",
            "apps/v1",
            "Deployment",
            vec![(PROJECT, "web")],
            "Available",
        ),
    ];
    let until = Instant::now() + PATIENCE;
    for (what, api_version, kind, objects, condition) in steps {
        let resource = hub.resource(api_version, kind).await?;
        for (namespace, name) in objects {
            loop {
                let found = hub.get(&resource, namespace, name).await.ok();
                if found.as_ref().is_some_and(|it| is_true(it, condition)) {
                    break;
                }
                if until < Instant::now() {
                    let said = found.map(|it| message(&it, condition)).unwrap_or_default();
                    writeln!(out, "         not yet: {what} ({kind} {name}: {said})")?;
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        writeln!(out, "         {what}")?;
        out.flush()?;
    }
    Ok(())
}

fn find<'a>(object: &'a Value, condition: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|it| it["type"] == condition)
}

fn is_true(object: &Value, condition: &str) -> bool {
    find(object, condition).is_some_and(|it| it["status"] == "True")
}

fn message(object: &Value, condition: &str) -> String {
    let said = find(object, condition).and_then(|it| it["message"].as_str());
    said.unwrap_or("nothing is said of it yet").to_owned()
}
