//! What a server says of its kinds: OpenAPI v3 schemas and aggregated discovery.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::run;

/// Groups that the API server serves, in their stable versions.
const GROUPS: [&str; 19] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// The two halves of what a server says.
pub struct Documents {
    /// By name, such as `io.k8s.api.apps.v1.Deployment`.
    pub schemas: BTreeMap<String, Value>,
    /// Rows of aggregated discovery, each with its group and version, preferred versions first.
    pub resources: Vec<Row>,
}

pub struct Row {
    pub group: String,
    pub version: String,
    pub resource: Value,
}

pub fn from_dir(dir: &Path) -> anyhow::Result<Documents> {
    let read = |path: String| -> anyhow::Result<Value> {
        let path = dir.join(path);
        let text = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    };
    let mut discovery = vec![read("discovery/aggregated_v2.json".into())?];
    if let Ok(core) = read("discovery/api__aggregated_v2.json".into()) {
        discovery.insert(0, core);
    } else {
        discovery.insert(0, core_of(&read("discovery/api__v1.json".into())?));
    }
    gather(&discovery, |group, version| {
        let stem = match group {
            "" => format!("api__{version}"),
            group => format!("apis__{group}__{version}"),
        };
        read(format!("openapi-spec/v3/{stem}_openapi.json"))
    })
}

pub fn from_server(kubeconfig: &Path) -> anyhow::Result<Documents> {
    let file = kubeconfig.display().to_string();
    let get = |path: &str| -> anyhow::Result<Value> {
        let arguments = ["--kubeconfig", &file, "get", "--raw", path];
        Ok(serde_json::from_str(&run::output(&mut run::command("kubectl", &arguments))?)?)
    };
    // `get --raw` cannot ask for the aggregated form, so it is put together from the plain one.
    let mut discovery = vec![core_of(&get("/api/v1")?)];
    for group in get("/apis")?["groups"].as_array().into_iter().flatten() {
        for version in group["versions"].as_array().into_iter().flatten() {
            let name = version["groupVersion"].as_str().unwrap_or_default();
            discovery.push(core_of(&get(&format!("/apis/{name}"))?));
        }
    }
    gather(&discovery, |group, version| match group {
        "" => get(&format!("/openapi/v3/api/{version}")),
        group => get(&format!("/openapi/v3/apis/{group}/{version}")),
    })
}

fn gather(
    discovery: &[Value],
    document: impl Fn(&str, &str) -> anyhow::Result<Value>,
) -> anyhow::Result<Documents> {
    let mut documents = Documents { schemas: BTreeMap::new(), resources: Vec::new() };
    let groups = discovery.iter().flat_map(|it| it["items"].as_array().into_iter().flatten());
    for group in groups {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        if !GROUPS.contains(&name) {
            continue;
        }
        for version in group["versions"].as_array().into_iter().flatten() {
            let number = version["version"].as_str().unwrap_or_default();
            if !matches!(number, "v1" | "v2") {
                continue;
            }
            let openapi = document(name, number)?;
            let schemas = openapi["components"]["schemas"].as_object();
            let schemas = schemas.context("an OpenAPI document has schemas")?;
            documents.schemas.extend(schemas.iter().map(|(name, it)| (name.clone(), it.clone())));
            for resource in version["resources"].as_array().into_iter().flatten() {
                let (group, version) = (name.to_owned(), number.to_owned());
                documents.resources.push(Row { group, version, resource: resource.clone() });
            }
        }
    }
    Ok(documents)
}

/// A plain resource list in the aggregated form.
fn core_of(list: &Value) -> Value {
    let group_version = list["groupVersion"].as_str().unwrap_or_default();
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let rows: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
    let name = |it: &Value| it["name"].as_str().unwrap_or_default().to_owned();
    let kind = |it: &Value| {
        serde_json::json!({
            "group": it["group"], "version": it["version"], "kind": it["kind"],
        })
    };
    let resources = rows.iter().filter(|it| !name(it).contains('/')).map(|row| {
        let parts = rows.iter().filter_map(|it| {
            let full = name(it);
            let part = full.strip_prefix(&format!("{}/", name(row)))?;
            Some(serde_json::json!({
                "subresource": part, "responseKind": kind(it), "verbs": it["verbs"],
            }))
        });
        let subresources: Vec<Value> = parts.collect();
        serde_json::json!({
            "resource": row["name"], "singularResource": row["singularName"],
            "responseKind": kind(row), "verbs": row["verbs"],
            "scope": if row["namespaced"] == true { "Namespaced" } else { "Cluster" },
            "shortNames": row["shortNames"], "categories": row["categories"],
            "subresources": subresources,
        })
    });
    let resources: Vec<Value> = resources.collect();
    serde_json::json!({"items": [{"metadata": {"name": group}, "versions": [
        {"version": version, "resources": resources},
    ]}]})
}
