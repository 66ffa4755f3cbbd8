//! What the members have, as their watches tell it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use futures::StreamExt as _;
use kogge_member::{
    Client, Resource,
    watch::{Scope, Seen},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::PATIENCE;

/// A member, and what it has in namespace `shop`. Watched and not polled, since asking all the
/// time would cost the two cores more than what is measured.
pub struct Member {
    pub client: Client,
    pub deployments: Watched,
    pub config_maps: Watched,
}

/// Objects by name, as last seen.
pub struct Watched {
    seen: watch::Receiver<BTreeMap<String, Value>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    pub fn start(client: Client, resource: Resource) -> Self {
        let (send, seen) = watch::channel(BTreeMap::new());
        let task = tokio::spawn(async move {
            let scope = Scope { namespace: "shop".to_owned(), ..Scope::default() };
            let mut stream = std::pin::pin!(kogge_member::watch::watch(client, resource, scope));
            let named = |it: Value| (kogge_member::object::name(&it).to_owned(), it);
            while let Some(seen) = stream.next().await {
                send.send_modify(|objects| match seen {
                    Seen::Reset { items, .. } => *objects = items.into_iter().map(named).collect(),
                    Seen::Applied(object) => objects.extend([named(object)]),
                    Seen::Deleted(object) => {
                        objects.remove(kogge_member::object::name(&object));
                    }
                    Seen::Broken(_) => {}
                });
            }
        });
        Self { seen, task }
    }

    pub async fn wait(
        &self,
        what: &str,
        wanted: impl Fn(&BTreeMap<String, Value>) -> bool,
    ) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(wanted)).await;
        let _ = waited.with_context(|| format!("{what}: not in time"))??;
        Ok(())
    }

    pub fn uid(&self, name: &str) -> String {
        self.seen
            .borrow()
            .get(name)
            .map(|it| kogge_member::object::uid(it).to_owned())
            .unwrap_or_default()
    }
}
