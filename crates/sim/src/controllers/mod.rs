//! What a cluster's controller manager does for workloads, as far as a pretended cluster needs it.
//!
//! Reading order: [`world`] is what is known (`kind`: the kinds, `claim`: what belongs to whom),
//! a file or folder for each kind holds its rules (pure: world, key and time in, a [`Plan`] out),
//! this file watches and writes around them. Garbage and namespaces are the API server's own
//! business.

mod account;
mod autoscaler;
mod claim;
mod cron_job;
mod daemon_set;
mod deployment;
mod ephemeral;
mod job;
mod kind;
mod leftover;
mod pods;
mod replica_set;
mod revision;
mod service;
mod stateful_set;
mod story;
mod timers;
mod world;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt as _, stream::SelectAll};
use jiff::{SignedDuration, Timestamp};
use kogge_member::{
    Client, DeleteOptions, Error, object,
    watch::{Scope, Seen, watch},
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use self::{
    kind::{Key, Kind},
    timers::Timers,
    world::World,
};
use crate::{events::Event, kinds};

const RETRY: Duration = Duration::from_millis(500);
const MANAGER: &str = "kube-controller-manager";
const IDLE: Duration = Duration::from_mins(1);

/// What is to be done to the cluster.
#[derive(Clone, Debug, PartialEq)]
enum Effect {
    Create {
        kind: Kind,
        object: Value,
    },
    Delete(Key),
    /// At once, without grace.
    Remove(Key),
    /// A merge patch, of the object or of its status.
    Patch {
        key: Key,
        subresource: Option<&'static str>,
        patch: Value,
    },
    /// An event about the object: something its owner must mend.
    Warn {
        about: Key,
        reason: &'static str,
        message: String,
    },
}

/// What one object's rules ask for: effects in order, and when to look again without an event.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plan {
    effects: Vec<Effect>,
    recheck_after: Option<SignedDuration>,
}

impl Plan {
    fn recheck(&mut self, after: Option<SignedDuration>) {
        self.recheck_after = [self.recheck_after, after].into_iter().flatten().min();
    }
}

impl From<Vec<Effect>> for Plan {
    fn from(effects: Vec<Effect>) -> Self {
        Self { effects, recheck_after: None }
    }
}

/// Runs the controllers until it is dropped.
pub(crate) async fn run(client: Client, now: fn() -> Timestamp) {
    let mut news = SelectAll::new();
    for kind in Kind::all() {
        let seen = watch(client.clone(), kind.resource(), Scope::default());
        news.push(seen.map(move |seen| (kind, seen)).boxed());
    }
    let mut controllers = Controllers {
        client,
        now,
        world: World::default(),
        due: BTreeSet::new(),
        later: Timers::default(),
    };
    loop {
        let wait = controllers.later.next().unwrap_or_else(|| Instant::now() + IDLE);
        let ready = controllers.world.is_complete() && !controllers.due.is_empty();
        tokio::select! {
            biased;
            Some((kind, seen)) = news.next() => controllers.see(kind, seen),
            // Nothing is decided on half a world.
            () = std::future::ready(()), if ready => controllers.work().await,
            () = sleep_until(wait) => {
                let due = controllers.later.due(Instant::now());
                controllers.due.extend(due);
            }
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
    later: Timers,
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

    /// One key: what its rules ask for is done, and what comes of it is known at once.
    async fn work(&mut self) {
        let Some(key) = self.due.pop_first() else { return };
        let plan = decide(&self.world, &key, (self.now)());
        if let Some(wait) = plan.recheck_after {
            let wait = Duration::try_from(wait).unwrap_or_default();
            self.later.set(key.clone(), Instant::now() + wait);
        }
        for effect in plan.effects {
            let story = story::of(&self.world, &key, &effect);
            match self.apply(effect).await {
                Ok(made) => {
                    if let Some(story) = story {
                        self.tell(&key, ("Normal", story.reason), &story.message(&made)).await;
                    }
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::debug!(?key, error = error.chain(), "could not reconcile");
                    self.later.set(key, Instant::now() + RETRY);
                    return;
                }
            }
        }
    }

    /// Gives the name of what it made.
    async fn apply(&mut self, effect: Effect) -> Result<String, Error> {
        match effect {
            Effect::Create { kind, object } => {
                match self.client.create(&kind.resource(), &object).await {
                    Ok(made) => {
                        let name = object::name(&made).to_owned();
                        self.due.extend(self.world.set(kind, made));
                        return Ok(name);
                    }
                    // Made in a round that was cut short: the watch will tell.
                    Err(error) if error.is_conflict() => {}
                    Err(error) => return Err(error),
                }
            }
            Effect::Delete(key) => self.delete(&key, None).await?,
            Effect::Remove(key) => self.delete(&key, Some(0)).await?,
            Effect::Warn { about, reason, message } => {
                self.tell(&about, ("Warning", reason), &message).await;
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
        Ok(String::new())
    }

    /// Events are told once; one that is lost is no harm.
    async fn tell(&self, about: &Key, (kind, reason): (&str, &str), message: &str) {
        let Some(it) = self.world.get(about) else { return };
        let event = Event { about: it, kind, reason, message, by: MANAGER };
        if let Err(error) = self.client.create(&kinds::events(), &event.at((self.now)())).await {
            tracing::debug!(error = error.chain(), "could not write an event");
        }
    }

    async fn delete(&mut self, key: &Key, grace_period_seconds: Option<u32>) -> Result<(), Error> {
        let options = DeleteOptions { grace_period_seconds, ..DeleteOptions::default() };
        let resource = key.kind.resource();
        self.client.delete(&resource, &key.namespace, &key.name, &options).await?;
        self.world.mark_deleted(key);
        Ok(())
    }
}

fn decide(world: &World, key: &Key, now: Timestamp) -> Plan {
    match key.kind {
        Kind::Deployment => deployment::decide(world, key, now),
        Kind::ReplicaSet => replica_set::decide(world, key, now),
        Kind::StatefulSet => stateful_set::decide(world, key, now),
        Kind::DaemonSet => daemon_set::decide(world, key, now),
        Kind::Job => job::decide(world, key, now),
        Kind::CronJob => cron_job::decide(world, key, now),
        Kind::HorizontalPodAutoscaler => autoscaler::decide(world, key, now).into(),
        Kind::Service => service::decide(world, key).into(),
        Kind::Namespace => account::decide(world, key).into(),
        Kind::Node => leftover::decide(world, key, now),
        Kind::Pod => ephemeral::decide(world, key).into(),
        Kind::PersistentVolumeClaim
        | Kind::ControllerRevision
        | Kind::ServiceAccount
        | Kind::EndpointSlice
        | Kind::Endpoints => Plan::default(),
    }
}
