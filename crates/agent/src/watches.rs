//! One watch for each kind in use, of the objects that carry kogge's label.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use kogge_member::{
    Client, Fault,
    watch::{Scope, Seen, watch},
};
use tokio::{sync::mpsc, task::AbortHandle};

use crate::{MANAGED_LABEL, inventory::Inventory};

/// Group and kind: versions of one kind are one watch.
pub(crate) type GroupKind = (String, String);

/// A kind that is not served may come with a CRD that is being applied.
const UNKNOWN_KIND_RETRY: Duration = Duration::from_secs(1);

pub(crate) enum Heard {
    Seen(Seen),
    /// The kind cannot be watched: what the cluster said.
    NoWatch {
        message: String,
        /// It serves no such kind.
        is_unknown: bool,
    },
}

pub(crate) struct Watches {
    client: Client,
    inventory: Arc<Inventory>,
    send: mpsc::Sender<(GroupKind, Heard)>,
    running: BTreeMap<GroupKind, AbortHandle>,
}

impl Watches {
    pub fn new(
        client: Client,
        inventory: Arc<Inventory>,
    ) -> (Self, mpsc::Receiver<(GroupKind, Heard)>) {
        let (send, receive) = mpsc::channel(256);
        (Self { client, inventory, send, running: BTreeMap::new() }, receive)
    }

    /// Starts the watch of a kind if it is not running.
    pub fn ensure(&mut self, api_version: &str, kind: &str) -> GroupKind {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let id: GroupKind = (group.to_owned(), kind.to_owned());
        if self.running.contains_key(&id) {
            return id;
        }
        let (client, inventory, send) =
            (self.client.clone(), self.inventory.clone(), self.send.clone());
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        let task = tokio::spawn({
            let id = id.clone();
            async move { follow(&client, &inventory, &api_version, &kind, &id, &send).await }
        });
        self.running.insert(id.clone(), task.abort_handle());
        id
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for task in self.running.values() {
            task.abort();
        }
    }
}

async fn follow(
    client: &Client,
    inventory: &Inventory,
    api_version: &str,
    kind: &str,
    id: &GroupKind,
    send: &mpsc::Sender<(GroupKind, Heard)>,
) {
    let resource = loop {
        let found = match client.resource(api_version, kind).await {
            Ok(found) => inventory.add(&found).await.map(|()| found),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => break found,
            Err(error) => {
                let is_unknown = matches!(error.fault, Fault::NoSuchKind { .. });
                let heard = Heard::NoWatch { message: error.chain(), is_unknown };
                if send.send((id.clone(), heard)).await.is_err() {
                    return;
                }
                tokio::time::sleep(UNKNOWN_KIND_RETRY).await;
            }
        }
    };
    let scope = Scope {
        label_selector: format!("{MANAGED_LABEL}=true"),
        metadata_only: !kogge_sync::status::is_aggregated(&resource.group, &resource.kind),
        ..Scope::default()
    };
    let mut seen = std::pin::pin!(watch(client.clone(), resource, scope));
    while let Some(seen) = seen.next().await {
        if send.send((id.clone(), Heard::Seen(seen))).await.is_err() {
            return;
        }
    }
}
