//! `kogge why`: where an object runs, why there, why nowhere else, and what is wrong.
//!
//! Says nothing of its own: the words are those of the conditions and events on the hub. This
//! file reads them at one time, `explain` lays them out.

mod explain;

use std::io::Write;

use anyhow::{Context as _, bail};
use kogge_member::{Client, Error, ObjectKey, Resource, object};
use serde_json::Value;

use self::explain::{Claim, Known, claims, explain};
use crate::{clock, kubeconfig::Target};

const CLUSTER_VERSION: &str = "cluster.karmada.io/v1alpha1";
const BINDING_VERSION: &str = "work.karmada.io/v1alpha2";
const SOURCE_VERSION: &str = "kustomize.toolkit.fluxcd.io/v1";
/// By which an object says that it came from Git.
const SOURCE_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const SOURCE_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";

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

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = args.target.client().await?;
    let known = read(&client, &args.object, &args.namespace).await?;
    out.write_all(explain(&known, clock::now()).as_bytes())?;
    Ok(())
}

async fn read(client: &Client, word: &str, namespace: &str) -> anyhow::Result<Known> {
    let Some((kind, name)) = word.split_once('/') else {
        bail!("{word} does not name an object; say KIND/NAME, such as deploy/web");
    };
    let resource = resource_named(client, kind).await?;
    let resource = resource.with_context(|| format!("the fleet serves no kind called {kind}"))?;
    let namespace = if resource.namespaced { namespace } else { "" };
    let found = client.get(&resource, namespace, name).await;
    let found = found.with_context(|| format!("could not explain {word}"))?;
    let key = ObjectKey::of(&found);
    let mut waits_for = Vec::new();
    for name in claims(&found) {
        let key = ObjectKey::new("", "PersistentVolumeClaim", namespace, &name);
        waits_for.push(Claim { binding: binding(client, &key).await?, name });
    }
    let binding = binding(client, &key).await?;
    Ok(Known {
        may_run: kogge_hub::may_run(&key),
        source: source(client, &found).await?,
        clusters: clusters(client, &found, &binding).await?,
        binding,
        events: events(client, &key).await?,
        claims: waits_for,
        object: found,
        key,
    })
}

/// As kubectl reads it: `deploy`, `deploy.apps`, and with a version that is served
/// `deploy.v1.apps` or, of the core group, `cm.v1.`.
async fn resource_named(client: &Client, word: &str) -> Result<Option<Resource>, Error> {
    if let Some(found) = client.resource_named(word.trim_end_matches('.')).await? {
        return Ok(Some(found));
    }
    let Some((word, version)) = without_version(word) else { return Ok(None) };
    let Some(found) = client.resource_named(&word).await? else { return Ok(None) };
    let served = client.discover().await?;
    let is_meant = |it: &Resource| {
        (&it.group, &it.plural) == (&found.group, &found.plural) && it.version == version
    };
    Ok(served.into_iter().find(is_meant))
}

fn without_version(word: &str) -> Option<(String, String)> {
    let (kind, rest) = word.split_once('.')?;
    let (version, group) = rest.split_once('.')?;
    let named = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    Some((named, version.to_owned()))
}

/// The decision where an object runs; null if no policy selects it.
async fn binding(client: &Client, key: &ObjectKey) -> Result<Value, Error> {
    let binding = kogge_hub::binding_of(key);
    let resource = client.resource(BINDING_VERSION, &binding.kind).await?;
    or_null(client.get(&resource, &binding.namespace, &binding.name).await)
}

/// The Clusters where it runs; itself, if it is one.
async fn clusters(client: &Client, found: &Value, binding: &Value) -> Result<Vec<Value>, Error> {
    let resource = client.resource(CLUSTER_VERSION, "Cluster").await?;
    let ran_on = binding.pointer("/status/aggregatedStatus").and_then(Value::as_array);
    let mut found_there = Vec::new();
    for name in ran_on.into_iter().flatten().map(|it| object::text(it, "/clusterName")) {
        let found = client.get(&resource, "", name).await;
        // Who may see the object need not be allowed to see the fleet.
        let hidden = matches!(&found, Err(error) if error.is_forbidden());
        found_there.push(if hidden { Value::Null } else { or_null(found)? });
    }
    if ObjectKey::of(found).kind == resource.kind {
        found_there.push(found.clone());
    }
    Ok(found_there)
}

/// The Kustomization that an object came from; null if it came from none.
async fn source(client: &Client, found: &Value) -> Result<Value, Error> {
    let label = |key| object::label(found, key);
    let (Some(name), Some(namespace)) = (label(SOURCE_NAME), label(SOURCE_NAMESPACE)) else {
        return Ok(Value::Null);
    };
    let resource = client.resource(SOURCE_VERSION, "Kustomization").await?;
    or_null(client.get(&resource, namespace, name).await)
}

/// Newest last.
async fn events(client: &Client, key: &ObjectKey) -> Result<Vec<Value>, Error> {
    let resource = Resource::new("", "v1", "Event", "events", true);
    let place = if key.namespace.is_empty() { "default" } else { &key.namespace };
    let mut events = client.list(&resource, place, "").await?;
    events.retain(|it| {
        let about = &it["involvedObject"];
        about["kind"] == key.kind.as_str() && about["name"] == key.name.as_str()
    });
    events.sort_by_key(|it| object::text(it, "/lastTimestamp").to_owned());
    Ok(events)
}

fn or_null(found: Result<Value, Error>) -> Result<Value, Error> {
    match found {
        Err(error) if error.is_not_found() => Ok(Value::Null),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, parts: Option<(&str, &str)>) {
        let parts = parts.map(|(kind, version)| (kind.to_owned(), version.to_owned()));
        assert_eq!(without_version(word), parts);
    }

    #[test]
    fn a_version_stands_between_kind_and_group() {
        check("deploy.v1.apps", Some(("deploy.apps", "v1")));
        check("cm.v1.", Some(("cm", "v1")));
        check("deploy.apps", None);
        check("work.v1alpha1.work.karmada.io", Some(("work.work.karmada.io", "v1alpha1")));
    }
}
