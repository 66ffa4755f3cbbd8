//! Discovery: which resource serves a kind. Asked once, and again when a kind is unknown.

use std::{collections::BTreeMap, sync::RwLock, time::Duration};

use http::{Method, header};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    client::{Client, request},
    error::{Error, Fault},
    resource::Resource,
};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// An unknown kind may be a CRD that is just being made, so discovery is asked
/// again, but not in a storm when a thousand objects are of a kind that is not there.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Kinds {
    known: RwLock<BTreeMap<(String, String), Resource>>,
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Kinds {
    fn find(&self, api_version: &str, kind: &str) -> Option<Resource> {
        let known = self.known.read().ok()?;
        known.get(&(api_version.to_owned(), kind.to_owned())).cloned()
    }
}

impl Client {
    /// The resource that serves `kind` of `api_version`.
    pub async fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, Error> {
        if let Some(found) = self.kinds.find(api_version, kind) {
            return Ok(found);
        }
        let mut asked = self.kinds.asked.lock().await;
        if asked.is_none_or(|at| ASK_AGAIN_AFTER <= at.elapsed()) {
            let all = self.discover().await?;
            if let Ok(mut known) = self.kinds.known.write() {
                *known =
                    all.into_iter().map(|it| ((it.api_version(), it.kind.clone()), it)).collect();
            }
            *asked = Some(Instant::now());
        }
        self.kinds.find(api_version, kind).ok_or_else(|| {
            let fault = Fault::NoSuchKind { api_version: api_version.into(), kind: kind.into() };
            Error::new("find", format!("the resource of {kind}"), fault)
        })
    }

    /// The resource that serves a kind of a group, in the server's preferred version.
    pub async fn resource_of_kind(&self, group: &str, kind: &str) -> Result<Resource, Error> {
        let known = |kinds: &Kinds| {
            let known = kinds.known.read().ok()?;
            known.values().find(|it| it.group == group && it.kind == kind).cloned()
        };
        if let Some(found) = known(&self.kinds) {
            return Ok(found);
        }
        let found = self.discover().await?;
        found.into_iter().find(|it| it.group == group && it.kind == kind).ok_or_else(|| {
            let fault = Fault::NoSuchKind { api_version: group.into(), kind: kind.into() };
            Error::new("find", format!("the resource of {kind}"), fault)
        })
    }

    /// The resource that a person means: its plural, singular or short name, or its kind, each
    /// also with the group (`deployments.apps`).
    pub async fn resource_named(&self, word: &str) -> Result<Option<Resource>, Error> {
        Ok(named(&self.groups().await?, &word.to_lowercase()))
    }

    /// Every resource that can be listed, in all versions, in the server's order.
    pub async fn discover(&self) -> Result<Vec<Resource>, Error> {
        let rows = self.groups().await?;
        Ok(rows.into_iter().map(|it| it.resource).collect())
    }

    async fn groups(&self) -> Result<Vec<Row>, Error> {
        let mut found = Vec::new();
        for root in ["/api", "/apis"] {
            let mut asked = request(Method::GET, root, "application/json", None);
            asked
                .headers_mut()
                .insert(header::ACCEPT, header::HeaderValue::from_static(AGGREGATED));
            let answer: Value = self
                .kube
                .request(asked)
                .await
                .map_err(|error| Error::new("discover", root, Fault::from(error)))?;
            read_groups(&answer, &mut found);
        }
        Ok(found)
    }
}

/// A resource with the other words for it.
struct Row {
    resource: Resource,
    singular: String,
    short_names: Vec<String>,
}

/// Core first, then in the server's order; a group in the word narrows it down.
fn named(rows: &[Row], word: &str) -> Option<Resource> {
    let (name, group) = word.split_once('.').unwrap_or((word, ""));
    let is_meant = |it: &&Row| {
        let resource = &it.resource;
        let words = [resource.plural.as_str(), &it.singular];
        let is_word = words.contains(&name)
            || resource.kind.to_lowercase() == name
            || it.short_names.iter().any(|it| it == name);
        is_word && (group.is_empty() || resource.group == group)
    };
    rows.iter().find(is_meant).map(|it| it.resource.clone())
}

fn read_groups(list: &Value, found: &mut Vec<Row>) {
    let each = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for group in each(list, "items") {
        let group_name = crate::object::name(&group).to_owned();
        for version in each(&group, "versions") {
            let version_name = version["version"].as_str().unwrap_or_default();
            for resource in each(&version, "resources") {
                let listed = each(&resource, "verbs").iter().any(|verb| verb == "list");
                if listed && let Some(row) = row(&group_name, version_name, &resource) {
                    found.push(row);
                }
            }
        }
    }
}

fn row(group: &str, version: &str, resource: &Value) -> Option<Row> {
    let text = |pointer| crate::object::text(resource, pointer);
    let kind = Some(text("/responseKind/kind")).filter(|it| !it.is_empty())?;
    let namespaced = text("/scope") == "Namespaced";
    let short_names = resource["shortNames"].as_array().into_iter().flatten();
    Some(Row {
        resource: Resource::new(group, version, kind, text("/resource"), namespaced),
        singular: text("/singularResource").to_owned(),
        short_names: short_names.filter_map(|it| Some(it.as_str()?.to_owned())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aggregated_discovery_is_read_in_the_servers_order() {
        let list = json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1",
        "resources": [
            {"resource": "deployments", "responseKind": {"kind": "Deployment"},
             "singularResource": "deployment", "shortNames": ["deploy"],
             "scope": "Namespaced", "verbs": ["get", "list"]},
            {"resource": "reviews", "responseKind": {"kind": "Review"},
             "scope": "Cluster", "verbs": ["create"]},
        ]}]}]});
        let mut found = Vec::new();
        read_groups(&list, &mut found);
        let deployments = Resource::new("apps", "v1", "Deployment", "deployments", true);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].resource, deployments);
        for word in ["deploy", "deployment", "deployments", "deploy.apps", "deployments.apps"] {
            assert_eq!(named(&found, word), Some(deployments.clone()), "{word}");
        }
        for word in ["deploys", "deploy.extensions", "reviews"] {
            assert_eq!(named(&found, word), None, "{word}");
        }
    }
}
