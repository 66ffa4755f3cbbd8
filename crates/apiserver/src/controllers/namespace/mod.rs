//! Empties namespaces that are being deleted, and lets them go when nothing is left in them.
//!
//! Reading order: `decide` holds the rules; this file counts and carries out.

pub(super) mod decide;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::decide::{Effect, Observed};
use super::{
    caller::{Caller, Refused},
    graph::Graph,
    watch::Kinds,
};
use crate::object;

pub(super) const USER: &str = "system:serviceaccount:kube-system:namespace-controller";
pub(super) const KIND: &str = "/core/namespaces/";

/// Counts what the graph knows of a namespace; `None` when there is no such namespace.
pub(super) fn observe(
    graph: &Graph,
    kinds: &Kinds,
    caller: &Caller,
    name: &str,
    failure: Option<String>,
) -> Option<Observed> {
    let entry = caller.server.store().get(&format!("{KIND}{name}"))?;
    let namespace: Value = serde_json::from_slice(&entry.value).ok()?;
    let mut seen = Observed {
        terminating: object::is_terminating(&namespace),
        finalizers: texts(&namespace["spec"]["finalizers"]),
        conditions: namespace["status"]["conditions"].as_array().cloned().unwrap_or_default(),
        now: object::time(caller.server.state.now()),
        failure,
        ..Observed::default()
    };
    for item in graph.in_namespace(name) {
        let Some(resource) = kinds.get(&item.place.kind) else { continue };
        let count = seen.content.entry(resource.qualified()).or_default();
        count.all += 1;
        count.unmarked += usize::from(!item.deleting);
        for finalizer in &item.finalizers {
            *seen.held_by.entry(finalizer.clone()).or_default() += 1;
        }
    }
    Some(seen)
}

pub(super) async fn apply(
    caller: &Caller,
    kinds: &Kinds,
    name: &str,
    effect: &Effect,
) -> Result<(), Refused> {
    let itself = format!("/api/v1/namespaces/{name}");
    match effect {
        Effect::Empty(kind) => {
            let Some(resource) = kinds.values().find(|it| it.qualified() == *kind) else {
                return Ok(());
            };
            let options = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            });
            caller.delete(&resource.path(Some(name), ""), &options).await
        }
        Effect::SetConditions(conditions) => {
            let patch = json!({"status": {"conditions": conditions}});
            gone_is_fine(caller.patch(&format!("{itself}/status"), &patch).await)
        }
        Effect::Finalize(left) => {
            let body = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name}, "spec": {"finalizers": left},
            });
            gone_is_fine(caller.put(&format!("{itself}/finalize"), &body).await)
        }
    }
}

fn gone_is_fine(answer: Result<Value, Refused>) -> Result<(), Refused> {
    match answer {
        Ok(_) | Err(Refused { code: 404, .. }) => Ok(()),
        Err(refused) => Err(refused),
    }
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
