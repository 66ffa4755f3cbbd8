//! `kogge why`: where an object runs, why there, why nowhere else, and what is wrong.
//!
//! Says nothing of its own: the words are those of the conditions and events on the hub.

use std::io::Write;

use anyhow::{Context as _, bail};
use kogge_member::{Client, ObjectKey, Resource};
use serde_json::Value;

use crate::kubeconfig::Target;

/// Explain where an object runs, why there, and what is wrong
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The object, as kubectl names it: deploy/web, configmap/settings
    object: String,
    /// Its namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
    #[command(flatten)]
    target: Target,
}

/// What is known of the object, read at one time.
#[derive(Debug, Default)]
struct Known {
    key: String,
    object: Value,
    /// Null if no policy selects it.
    binding: Value,
    /// Newest last.
    events: Vec<Value>,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = args.target.client().await?;
    let known = read(&client, &args.object, &args.namespace).await?;
    out.write_all(explain(&known).as_bytes())?;
    Ok(())
}

async fn read(client: &Client, object: &str, namespace: &str) -> anyhow::Result<Known> {
    let Some((kind, name)) = object.split_once('/') else {
        bail!("{object} does not name an object; say KIND/NAME, such as deploy/web");
    };
    let resource = find(client, kind).await?;
    let namespace = if resource.namespaced { namespace } else { "" };
    let found = client
        .get(&resource, namespace, name)
        .await
        .with_context(|| format!("could not explain {object}"))?;
    let key = ObjectKey::of(&found);
    let binding_key = kogge_hub::binding_of(&key);
    let bindings = client.resource("work.karmada.io/v1alpha2", &binding_key.kind).await?;
    let binding = match client.get(&bindings, &binding_key.namespace, &binding_key.name).await {
        Ok(binding) => binding,
        Err(error) if error.is_not_found() => Value::Null,
        Err(error) => return Err(error.into()),
    };
    let events = Resource::new("", "v1", "Event", "events", true);
    let place = if namespace.is_empty() { "default" } else { namespace };
    let mut events = client.list(&events, place, "").await?;
    events.retain(|it| {
        let about = &it["involvedObject"];
        about["kind"] == key.kind.as_str() && about["name"] == key.name.as_str()
    });
    events.sort_by_key(|it| it["lastTimestamp"].as_str().unwrap_or("").to_owned());
    Ok(Known { key: key.to_string(), object: found, binding, events })
}

/// The resource that a kind, its plural or its short name means.
async fn find(client: &Client, word: &str) -> anyhow::Result<Resource> {
    let word = word.to_lowercase();
    let short = match word.as_str() {
        "deploy" => "deployments",
        "sts" => "statefulsets",
        "ds" => "daemonsets",
        "svc" => "services",
        "cm" => "configmaps",
        "sa" => "serviceaccounts",
        "ns" => "namespaces",
        "ing" => "ingresses",
        "pvc" => "persistentvolumeclaims",
        "cj" => "cronjobs",
        other => other,
    };
    let (plural, group) = short.split_once('.').unwrap_or((short, ""));
    let all = client.discover().await?;
    let found = all.into_iter().find(|it| {
        (it.plural == plural || it.kind.to_lowercase() == plural)
            && (group.is_empty() || it.group == group)
    });
    found.with_context(|| format!("the fleet serves no kind called {word}"))
}

fn explain(known: &Known) -> String {
    let mut said = vec![known.key.clone()];
    if known.binding.is_null() {
        said.push(
            "  runs nowhere: no PropagationPolicy or ClusterPropagationPolicy selects it".into(),
        );
    } else {
        said.extend(placement(&known.binding));
        said.extend(clusters(&known.binding));
    }
    said.extend(unhappy_conditions(&known.object));
    let recent = known.events.len().saturating_sub(5);
    if !known.events.is_empty() {
        said.push("  events:".into());
    }
    for event in &known.events[recent..] {
        let text = |key: &str| event[key].as_str().unwrap_or("");
        said.push(format!(
            "    {}  {}: {}",
            text("lastTimestamp"),
            text("reason"),
            text("message")
        ));
    }
    said.push(String::new());
    said.join("\n")
}

/// The decision, in the words of the binding's conditions.
fn placement(binding: &Value) -> Vec<String> {
    let conditions = binding.pointer("/status/conditions").and_then(Value::as_array);
    let lines = conditions.into_iter().flatten().flat_map(|it| {
        let text = |key: &str| it[key].as_str().unwrap_or("");
        let head = format!("  {} {}: ", text("type"), text("status"));
        text("message").lines().map(move |line| format!("{head}{line}")).collect::<Vec<_>>()
    });
    lines.collect()
}

/// What each cluster reports of it.
fn clusters(binding: &Value) -> Vec<String> {
    let items = binding.pointer("/status/aggregatedStatus").and_then(Value::as_array);
    let lines = items.into_iter().flatten().map(|it| {
        let text = |key: &str| it[key].as_str().unwrap_or("");
        let mut line = format!("  on {}: ", text("clusterName"));
        let status = &it["status"];
        if let (Some(ready), Some(all)) =
            (status["readyReplicas"].as_i64().or(Some(0)), status["replicas"].as_i64())
        {
            line.push_str(&format!("{ready} of {all} ready, "));
        }
        line.push_str(&text("health").to_lowercase());
        if it["applied"] != true {
            line.push_str(", not applied");
        }
        if !text("appliedMessage").is_empty() {
            line.push_str(": ");
            line.push_str(text("appliedMessage"));
        }
        line
    });
    lines.collect()
}

/// Conditions of the object itself that say something is wrong.
fn unhappy_conditions(object: &Value) -> Vec<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let unhappy = |it: &&Value| {
        let failure = it["type"].as_str().is_some_and(|it| it.ends_with("Failure"));
        if failure { it["status"] == "True" } else { it["status"] == "False" }
    };
    let line = |it: &Value| {
        let text = |key: &str| it[key].as_str().unwrap_or("");
        format!("  {} {}: {} ({})", text("type"), text("status"), text("message"), text("reason"))
    };
    conditions.into_iter().flatten().filter(unhappy).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_where_it_runs_and_what_is_wrong() {
        let known = Known {
            key: "deployment.apps/web -n shop".into(),
            object: json!({"status": {"conditions": [
                {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable",
                 "message": "available on 1 of 2 clusters"}]}}),
            binding: json!({"status": {
                "conditions": [{"type": "Scheduled", "status": "True",
                    "message": "policy shop/all chose member1, member2\nnot on member3: excluded"}],
                "aggregatedStatus": [
                    {"clusterName": "member1", "applied": true, "health": "Healthy",
                     "status": {"replicas": 2, "readyReplicas": 2}},
                    {"clusterName": "member2", "applied": false, "health": "Unknown",
                     "appliedMessage": "the cluster cannot be reached"}]}}),
            events: vec![json!({"reason": "DriftHealed", "message": "deleted on member1",
                "lastTimestamp": "2026-01-01T00:00:00Z"})],
        };
        insta::assert_snapshot!(explain(&known), @r"
        deployment.apps/web -n shop
          Scheduled True: policy shop/all chose member1, member2
          Scheduled True: not on member3: excluded
          on member1: 2 of 2 ready, healthy
          on member2: unknown, not applied: the cluster cannot be reached
          Available False: available on 1 of 2 clusters (MinimumReplicasUnavailable)
          events:
            2026-01-01T00:00:00Z  DriftHealed: deleted on member1
        ");
    }

    #[test]
    fn an_object_without_a_policy_runs_nowhere() {
        let known = Known { key: "configmap/x -n shop".into(), ..Known::default() };
        assert!(explain(&known).contains("no PropagationPolicy"), "{}", explain(&known));
    }
}
