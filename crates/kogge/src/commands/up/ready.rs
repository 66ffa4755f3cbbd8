//! What `up` waits for before it says that the fleet is ready.

use std::{io::Write, time::Duration};

use kogge_agent::SYSTEM_NAMESPACE;
use kogge_member::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::{members::Member, objects::PROJECT};

const POLL: Duration = Duration::from_millis(50);

/// Past this the fleet is left to come up by itself, and what is missing is said.
const PATIENCE: Duration = Duration::from_mins(1);

/// Objects that must have a condition before the next step counts.
pub struct Step<'a> {
    what: &'a str,
    api_version: &'a str,
    kind: &'a str,
    namespace: &'a str,
    names: Vec<&'a str>,
    condition: &'a str,
}

pub fn clusters(members: &[Member]) -> Step<'_> {
    Step {
        what: "clusters are Ready",
        api_version: "cluster.karmada.io/v1alpha1",
        kind: "Cluster",
        namespace: "",
        names: members.iter().map(|it| it.name.as_str()).collect(),
        condition: "Ready",
    }
}

pub fn sample() -> [Step<'static>; 2] {
    [
        Step {
            what: "Git is synced",
            api_version: "kustomize.toolkit.fluxcd.io/v1",
            kind: "Kustomization",
            namespace: SYSTEM_NAMESPACE,
            names: vec![PROJECT],
            condition: "Ready",
        },
        Step {
            what: "the sample runs on every cluster",
            api_version: "apps/v1",
            kind: "Deployment",
            namespace: PROJECT,
            names: vec!["web"],
            condition: "Available",
        },
    ]
}

/// Waits for one step after the other; says each as it comes.
pub async fn wait(hub: &Client, steps: &[Step<'_>], out: &mut dyn Write) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    for step in steps {
        if let Err(missing) = reached(hub, step, until).await? {
            writeln!(out, "         not yet: {} ({missing})", step.what)?;
            return Ok(());
        }
        writeln!(out, "         {}", step.what)?;
        out.flush()?;
    }
    Ok(())
}

/// `Err` says what is missing when time is up.
async fn reached(
    hub: &Client,
    step: &Step<'_>,
    until: Instant,
) -> anyhow::Result<Result<(), String>> {
    let resource = hub.resource(step.api_version, step.kind).await?;
    for name in &step.names {
        loop {
            let found = hub.get(&resource, step.namespace, name).await.ok();
            if found.as_ref().is_some_and(|it| is_true(it, step.condition)) {
                break;
            }
            if until < Instant::now() {
                let said = found.map(|it| message(&it, step.condition)).unwrap_or_default();
                return Ok(Err(format!("{} {name}: {said}", step.kind)));
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(Ok(()))
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
