//! The one object that says which kinds kogge has put on a cluster, and for which hub.
//!
//! A new agent, or the agent of a hub that lost its disk, reads it to find
//! everything that carries the label again. A kind is written down before its
//! first object is applied, so nothing can be owned and not found.

use std::collections::BTreeSet;

use kogge_member::{Apply, Client, Error, Resource};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{FIELD_MANAGER, SYSTEM_NAMESPACE};

/// Its name, in the namespace of kogge's own objects.
pub const NAME: &str = "kogge-inventory";

/// `apps/v1 Deployment`
pub type Kind = (String, String);

pub(crate) struct Inventory {
    client: Client,
    written: Mutex<BTreeSet<Kind>>,
    /// Whose the cluster is, as last read or written.
    hub: Mutex<Option<String>>,
}

impl Inventory {
    pub fn new(client: Client) -> Self {
        Self { client, written: Mutex::default(), hub: Mutex::default() }
    }

    /// The kinds in use, as `(apiVersion, kind)`; none on a cluster that is new.
    pub async fn read(&self) -> Result<BTreeSet<Kind>, Error> {
        let Some(found) = find(&self.client).await? else { return Ok(BTreeSet::new()) };
        *self.hub.lock().await =
            found.pointer("/data/hub").and_then(|it| it.as_str()).map(str::to_owned);
        let kinds = kinds_in(&found);
        self.written.lock().await.extend(kinds.iter().cloned());
        Ok(kinds)
    }

    /// Makes the cluster this hub's, if it is nobody's; says whose it is if it is another's.
    pub async fn claim(&self, hub: &str) -> Result<Option<String>, Error> {
        let kinds = self.read().await?;
        let owner = self.hub.lock().await.clone();
        match owner {
            Some(owner) if owner == hub => Ok(None),
            Some(owner) => Ok(Some(owner)),
            None => {
                *self.hub.lock().await = Some(hub.to_owned());
                self.write(&kinds).await?;
                Ok(None)
            }
        }
    }

    /// Returns when the kind is written down on the member.
    pub async fn add(&self, resource: &Resource) -> Result<(), Error> {
        let kind = (resource.api_version(), resource.kind.clone());
        let mut written = self.written.lock().await;
        if written.contains(&kind) {
            return Ok(());
        }
        let mut all = written.clone();
        all.insert(kind);
        self.write(&all).await?;
        *written = all;
        Ok(())
    }

    async fn write(&self, kinds: &BTreeSet<Kind>) -> Result<(), Error> {
        let how = Apply { manager: FIELD_MANAGER, force: true, dry_run: false };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": SYSTEM_NAMESPACE}});
        let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
        self.client.apply(&namespaces, &namespace, how).await?;
        let lines: Vec<String> =
            kinds.iter().map(|(api_version, kind)| format!("{api_version} {kind}")).collect();
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": SYSTEM_NAMESPACE},
            "data": {"kinds": lines.join("\n")}});
        if let Some(hub) = &*self.hub.lock().await {
            object["data"]["hub"] = hub.as_str().into();
        }
        self.client.apply(&config_maps(), &object, how).await?;
        Ok(())
    }
}

/// The kinds that kogge has put on a cluster, as `(apiVersion, kind)`; none on one that is new.
pub async fn kinds(client: &Client) -> Result<BTreeSet<Kind>, Error> {
    Ok(find(client).await?.as_ref().map(kinds_in).unwrap_or_default())
}

async fn find(client: &Client) -> Result<Option<Value>, Error> {
    match client.get(&config_maps(), SYSTEM_NAMESPACE, NAME).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn kinds_in(inventory: &Value) -> BTreeSet<Kind> {
    let lines = kogge_member::object::text(inventory, "/data/kinds").lines();
    let kinds = lines.filter_map(|line| line.split_once(' '));
    kinds.map(|(api_version, kind)| (api_version.to_owned(), kind.to_owned())).collect()
}

fn config_maps() -> Resource {
    Resource::new("", "v1", "ConfigMap", "configmaps", true)
}
