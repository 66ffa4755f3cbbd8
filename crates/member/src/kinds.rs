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

    /// Every resource that can be listed, in all versions, in the server's order.
    pub async fn discover(&self) -> Result<Vec<Resource>, Error> {
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

fn read_groups(list: &Value, found: &mut Vec<Resource>) {
    let each = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for group in each(list, "items") {
        let group_name = crate::object::name(&group).to_owned();
        for version in each(&group, "versions") {
            let version_name = version["version"].as_str().unwrap_or_default();
            for resource in each(&version, "resources") {
                let listed = each(&resource, "verbs").iter().any(|verb| verb == "list");
                let kind = crate::object::text(&resource, "/responseKind/kind");
                if listed && !kind.is_empty() {
                    found.push(Resource {
                        group: group_name.clone(),
                        version: version_name.to_owned(),
                        kind: kind.to_owned(),
                        plural: resource["resource"].as_str().unwrap_or_default().to_owned(),
                        namespaced: resource["scope"] == "Namespaced",
                    });
                }
            }
        }
    }
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
             "scope": "Namespaced", "verbs": ["get", "list"]},
            {"resource": "reviews", "responseKind": {"kind": "Review"},
             "scope": "Cluster", "verbs": ["create"]},
        ]}]}]});
        let mut found = Vec::new();
        read_groups(&list, &mut found);
        assert_eq!(found, [Resource::new("apps", "v1", "Deployment", "deployments", true)]);
    }
}
