//! What a cluster's controller manager does for workloads, as far as a pretended cluster needs it.
//!
//! Reading order: [`world`] is what is known, a file for each kind holds its rules
//! (pure: world and key in, effects out), this file watches and writes around them.
//! Garbage and namespaces are the API server's own business.

mod account;
mod daemon_set;
mod deployment;
mod job;
mod pods;
mod replica_set;
mod service;
mod stateful_set;
#[cfg(test)]
mod tests;
mod world;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream::SelectAll};
use jiff::Timestamp;
use kogge_member::{
    Client, DeleteOptions, Error,
    watch::{Scope, Seen, watch},
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use self::world::{Key, Kind, World};

const RETRY: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_mins(1);

/// What is to be done to the cluster.
#[derive(Clone, Debug, PartialEq)]
enum Effect {
    Create {
        kind: Kind,
        object: Value,
    },
    Delete(Key),
    /// A merge patch, of the object or of its status.
    Patch {
        key: Key,
        subresource: Option<&'static str>,
        patch: Value,
    },
}

/// Runs the controllers until it is dropped.
pub(crate) async fn run(client: Client, now: fn() -> Timestamp) {
    let mut news = SelectAll::new();
    for kind in Kind::ALL {
        let seen = watch(client.clone(), kind.resource(), Scope::default());
        news.push(seen.map(move |seen| (kind, seen)).boxed());
    }
    let mut controllers = Controllers {
        client,
        now,
        world: World::default(),
        due: BTreeSet::new(),
        later: BTreeSet::new(),
    };
    loop {
        let wait = controllers.later.first().map_or_else(|| Instant::now() + IDLE, |(at, _)| *at);
        tokio::select! {
            biased;
            Some((kind, seen)) = news.next() => controllers.see(kind, seen),
            () = std::future::ready(()), if !controllers.due.is_empty() => controllers.work().await,
            () = sleep_until(wait) => controllers.retry(),
            else => return,
        }
    }
}

struct Controllers {
    client: Client,
    now: fn() -> Timestamp,
    world: World,
    due: BTreeSet<Key>,
    /// Keys whose last round failed, or that wait for time to pass.
    later: BTreeSet<(Instant, Key)>,
}

impl Controllers {
    fn see(&mut self, kind: Kind, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                let touched = self.world.reset(kind, items);
                self.due.extend(touched);
            }
            Seen::Applied(object) => self.due.extend(self.world.set(kind, object)),
            Seen::Deleted(object) => self.due.extend(self.world.remove(kind, &object)),
            Seen::Broken(error) => {
                tracing::debug!(?kind, error = error.chain(), "watch broken");
            }
        }
    }

    fn retry(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.later.first().cloned()
            && at <= now
        {
            self.later.pop_first();
            self.due.insert(key);
        }
    }

    /// One key: what its rules ask for is done, and what comes of it is known at once.
    async fn work(&mut self) {
        // Nothing is decided on half a world.
        if !self.world.is_complete() {
            self.later.extend(
                std::mem::take(&mut self.due)
                    .into_iter()
                    .map(|it| (Instant::now() + RETRY / 10, it)),
            );
            return;
        }
        let Some(key) = self.due.pop_first() else { return };
        for effect in decide(&self.world, &key, (self.now)()) {
            if let Err(error) = self.apply(effect).await
                && !error.is_not_found()
            {
                tracing::debug!(?key, error = error.chain(), "could not reconcile");
                self.later.insert((Instant::now() + RETRY, key));
                return;
            }
        }
    }

    async fn apply(&mut self, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::Create { kind, object } => {
                let made = self.client.create(&kind.resource(), &object).await?;
                self.due.extend(self.world.set(kind, made));
            }
            Effect::Delete(key) => {
                let options = DeleteOptions::default();
                self.client
                    .delete(&key.kind.resource(), &key.namespace, &key.name, &options)
                    .await?;
                self.world.mark_deleted(&key);
            }
            Effect::Patch { key, subresource, patch } => {
                let resource = key.kind.resource();
                let changed = self
                    .client
                    .merge(&resource, &key.namespace, &key.name, subresource, &patch)
                    .await?;
                self.due.extend(self.world.set(key.kind, changed));
            }
        }
        Ok(())
    }
}

fn decide(world: &World, key: &Key, now: Timestamp) -> Vec<Effect> {
    match key.kind {
        Kind::Deployment => deployment::decide(world, key, now),
        Kind::ReplicaSet => replica_set::decide(world, key),
        Kind::StatefulSet => stateful_set::decide(world, key),
        Kind::DaemonSet => daemon_set::decide(world, key),
        Kind::Job => job::decide(world, key, now),
        Kind::Service => service::decide(world, key),
        Kind::Namespace => account::decide(world, key),
        Kind::Pod | Kind::Node | Kind::ServiceAccount | Kind::EndpointSlice => Vec::new(),
    }
}
