//! Kinds made at run time by CustomResourceDefinitions: their rows, conditions and end.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;
use kogge_store::RangeQuery;
use serde_json::{Value, json};

use crate::{
    changes::ObjectChange,
    object::{self, finalizers, is_terminating, set_finalizers},
    registry::{Column, KindRow, Resource, ScalePaths, Scope, VersionRow},
    schema::check_structural,
    server::{ApiServer, State},
    status::Cause,
};

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Holds a definition until the last of its objects is gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

pub(crate) fn is_definition(resource: &Resource) -> bool {
    resource.is(GROUP, PLURAL)
}

/// All definitions, with the rows of those whose names are accepted.
#[derive(Default)]
pub(crate) struct CustomKinds {
    definitions: BTreeMap<String, Definition>,
}

struct Definition {
    object: Value,
    /// Empty where the names are not accepted.
    rows: Vec<Arc<Resource>>,
    refused: Option<String>,
}

impl CustomKinds {
    /// A definition as it is now, `None` when it is gone. False: nothing that is served changes.
    pub fn set(&mut self, base: &[Arc<Resource>], name: &str, object: Option<Value>) -> bool {
        let Some(object) = object else { return self.definitions.remove(name).is_some() };
        if let Some(known) = self.definitions.get_mut(name)
            && known.object["spec"] == object["spec"]
        {
            known.object = object;
            return false;
        }
        let row = kind_row(&object["spec"]);
        let refused = self.conflict(base, name, &row);
        let rows = if refused.is_none() { Resource::of(&row, true) } else { Vec::new() };
        self.definitions.insert(name.to_owned(), Definition { object, rows, refused });
        true
    }

    pub fn rows(&self) -> impl Iterator<Item = Arc<Resource>> {
        self.definitions.values().flat_map(|it| it.rows.iter().cloned())
    }

    /// Why the names cannot be had: another kind of the group has them.
    fn conflict(&self, base: &[Arc<Resource>], name: &str, row: &KindRow) -> Option<String> {
        let others = self.definitions.iter().filter(|(other, _)| *other != name);
        let others = others.flat_map(|(_, it)| it.rows.iter()).chain(base);
        let mut others = others.filter(|it| it.group == row.group);
        others.find_map(|it| match it {
            it if it.plural == row.plural => Some(format!("plural {:?} is taken", row.plural)),
            it if it.kind == row.kind => Some(format!("kind {:?} is taken", row.kind)),
            _ => None,
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn kind_row(spec: &Value) -> KindRow {
    let names = &spec["names"];
    let versions = spec["versions"].as_array().into_iter().flatten();
    KindRow {
        group: text(&spec["group"]),
        kind: text(&names["kind"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        scope: if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        versions: versions.map(version_row).collect(),
    }
}

fn version_row(version: &Value) -> VersionRow {
    let scale = &version["subresources"]["scale"];
    VersionRow {
        name: text(&version["name"]),
        storage: version["storage"] == true,
        not_served: version["served"] == false,
        create_only: false,
        no_collection: false,
        schema: version["schema"]["openAPIV3Schema"].clone(),
        status: version["subresources"].get("status").is_some_and(|it| !it.is_null()),
        scale: scale.is_object().then(|| ScalePaths {
            spec_replicas: text(&scale["specReplicasPath"]),
            status_replicas: text(&scale["statusReplicasPath"]),
            label_selector: text(&scale["labelSelectorPath"]),
        }),
        columns: version["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(column)
            .collect(),
        selectable: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| text(&it["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
    }
}

fn column(column: &Value) -> Column {
    Column {
        name: text(&column["name"]),
        column_type: text(&column["type"]),
        format: text(&column["format"]),
        description: text(&column["description"]),
        priority: column["priority"].as_i64().and_then(|it| it.try_into().ok()).unwrap_or(0),
        json_path: text(&column["jsonPath"]),
    }
}

/// What a definition says by saying nothing.
pub(crate) fn complete(definition: &mut Value) {
    let kind = text(&definition["spec"]["names"]["kind"]);
    if !definition["spec"].is_object() || kind.is_empty() {
        return;
    }
    let spec = &mut definition["spec"];
    if text(&spec["names"]["singular"]).is_empty() {
        spec["names"]["singular"] = kind.to_lowercase().into();
    }
    if text(&spec["names"]["listKind"]).is_empty() {
        spec["names"]["listKind"] = format!("{kind}List").into();
    }
    if spec["conversion"].is_null() {
        spec["conversion"] = json!({"strategy": "None"});
    }
}

/// What is wrong with a definition as a whole; types are the schema's business.
pub(crate) fn check(definition: &Value) -> Vec<Cause> {
    let spec = &definition["spec"];
    let mut causes = Vec::new();
    let expected = format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"]));
    let name = object::meta(definition, "name");
    if name != expected {
        causes.push(invalid(
            "metadata.name",
            format!("Invalid value: {name:?}: must be spec.names.plural+\".\"+spec.group"),
        ));
    }
    if text(&spec["names"]["kind"]).is_empty() {
        causes.push(invalid("spec.names.kind", "Required value".into()));
    }
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    if versions.iter().filter(|it| it["storage"] == true).count() != 1 {
        causes.push(invalid(
            "spec.versions",
            "Invalid value: must have exactly one version marked as storage version".into(),
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let schema = &version["schema"]["openAPIV3Schema"];
        if schema.is_object() {
            causes.extend(check_structural(schema, &field));
        } else {
            causes.push(invalid(&field, "Required value: schemas are required".into()));
        }
    }
    if !matches!(spec["scope"].as_str(), Some("Namespaced" | "Cluster")) {
        let message = "Unsupported value: supported values: \"Cluster\", \"Namespaced\"".to_owned();
        causes.push(invalid("spec.scope", message));
    }
    causes
}

fn invalid(field: &str, message: String) -> Cause {
    Cause { reason: "FieldValueInvalid", message, field: field.into() }
}

/// Brings the conditions of every definition up to date.
pub(crate) async fn settle_all(server: &ApiServer, custom: &CustomKinds) {
    for definition in custom.definitions.values() {
        settle_one(server, definition).await;
    }
}

/// What follows from a change of a definition, or of an object of a custom kind.
pub(crate) async fn settle(server: &ApiServer, custom: &CustomKinds, change: &ObjectChange) {
    let resource = &change.resource;
    if is_definition(resource) {
        if let Some(definition) = custom.definitions.get(change.name.as_ref()) {
            settle_one(server, definition).await;
        }
    } else if resource.custom
        && change.object.is_none()
        && let Some(definition) = custom.definitions.get(&resource.qualified())
        && is_terminating(&definition.object)
    {
        settle_one(server, definition).await;
    }
}

async fn settle_one(server: &ApiServer, definition: &Definition) {
    let object = &definition.object;
    let path = format!("{PATH}/{}", object::meta(object, "name"));
    if is_terminating(object) {
        if finalizers(object).iter().any(|it| it == CLEANUP) && empty(server, definition).await {
            let mut released = object.clone();
            let kept = finalizers(object).into_iter().filter(|it| it != CLEANUP).collect();
            set_finalizers(&mut released, kept);
            server.ask(Method::PUT, &path, Some(&released)).await;
        }
        return;
    }
    let status = status(definition, &object::time(server.state.now()));
    if status != object["status"] {
        let mut settled = object.clone();
        settled["status"] = status;
        // A definition that changed meanwhile is looked at again for that change.
        server.ask(Method::PUT, &format!("{path}/status"), Some(&settled)).await;
    }
}

/// Deletes what there is of a kind. True when nothing is left.
async fn empty(server: &ApiServer, definition: &Definition) -> bool {
    let Some(resource) = definition.rows.iter().find(|it| it.is_storage_version) else {
        return true;
    };
    let State { store, .. } = server.state.as_ref();
    let query = RangeQuery { prefix: resource.prefix.clone(), ..RangeQuery::default() };
    let Ok(page) = store.range(&query) else { return false };
    let registry = server.registry();
    for entry in &page.entries {
        let Some((_, namespace, name)) = registry.locate(&entry.key) else { continue };
        let path = resource.path(namespace, name);
        server.ask(Method::DELETE, &path, None).await;
    }
    store.range(&query).is_ok_and(|page| page.entries.is_empty())
}

fn status(definition: &Definition, now: &str) -> Value {
    let object = &definition.object;
    let (accepted, reason, message) = match &definition.refused {
        None => ("True", "NoConflicts", "no conflicts found".to_owned()),
        Some(why) => ("False", "NamesConflict", why.clone()),
    };
    let (established, why, said) = match &definition.refused {
        None => ("True", "InitialNamesAccepted", "the initial names have been accepted"),
        Some(_) => ("False", "NotAccepted", "not all names are accepted"),
    };
    let mut status = match &object["status"] {
        Value::Object(_) => object["status"].clone(),
        _ => json!({}),
    };
    if definition.refused.is_none() {
        status["acceptedNames"] = object["spec"]["names"].clone();
    }
    let mut stored = texts(&status["storedVersions"]);
    let versions = object["spec"]["versions"].as_array();
    let storage = versions.into_iter().flatten().find(|it| it["storage"] == true);
    if let Some(storage) = storage.map(|it| text(&it["name"]))
        && !stored.contains(&storage)
    {
        stored.push(storage);
    }
    status["storedVersions"] = stored.into();
    for (kind, value, reason, message) in [
        ("NamesAccepted", accepted, reason, message.as_str()),
        ("Established", established, why, said),
    ] {
        set_condition(&mut status, kind, value, (reason, message), now);
    }
    status
}

fn set_condition(status: &mut Value, kind: &str, value: &str, why: (&str, &str), now: &str) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let new = json!({
        "type": kind, "status": value, "reason": why.0, "message": why.1,
        "lastTransitionTime": now,
    });
    match conditions.iter_mut().find(|it| it["type"] == kind) {
        Some(known) if known["status"] == value => {}
        Some(known) => *known = new,
        None => conditions.push(new),
    }
    status["conditions"] = conditions.into();
}
