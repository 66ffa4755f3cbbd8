//! One work from one template. Pure.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use kogge_agent::link::{Mode, Work};
use kogge_member::ObjectKey;
use serde_json::{Value, json};

/// What a cluster gets of a template: what some field manager set, without what belongs to the hub.
///
/// `replicas` is given where they were divided.
pub(crate) fn render(template: &Value, replicas: Option<u32>, mode: Mode) -> Arc<Work> {
    render_with(template, replicas, mode, &BTreeMap::new())
}

/// The same with labels that say what the copy goes on from.
pub(crate) fn render_with(
    template: &Value,
    replicas: Option<u32>,
    mode: Mode,
    labels: &BTreeMap<String, String>,
) -> Arc<Work> {
    let mut object = kogge_sync::strip::for_member(template);
    for (key, value) in labels {
        object["metadata"]["labels"][key.as_str()] = value.as_str().into();
    }
    if let Some(replicas) = replicas {
        let field = if object["kind"] == "Job" { "parallelism" } else { "replicas" };
        object["spec"][field] = replicas.into();
    }
    work(&object, mode)
}

/// The namespace of what runs there: made if it is missing, used if it is not.
pub(crate) fn namespace(name: &str) -> Arc<Work> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    work(&object, Mode::Ensure)
}

fn work(object: &Value, mode: Mode) -> Arc<Work> {
    let manifest = kogge_sync::canonical::bytes(object);
    Arc::new(Work {
        key: ObjectKey::of(object),
        api_version: kogge_member::object::text(object, "/apiVersion").to_owned(),
        hash: kogge_sync::canonical::hash(&manifest),
        manifest: Bytes::from(manifest),
        mode,
    })
}
