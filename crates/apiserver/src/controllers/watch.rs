//! The loop: follow every change, keep the graph, work off what the changes touch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};

use super::{
    caller::Caller,
    expiry::{self, Expiry},
    garbage,
    graph::{Graph, Item, Place},
    namespace,
};
use crate::{
    changes::{Change, Changes, ObjectChange},
    registry::Resource,
    server::{ApiServer, State},
};

/// The rows of the kinds seen so far, by storage prefix.
pub(super) type Kinds = BTreeMap<Arc<str>, Arc<Resource>>;

/// How many objects are worked on at a time; the store commits them together.
const CONCURRENT: usize = 32;
/// How many objects one round takes before changes are read again.
const ROUND: usize = 256;
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Nothing is due for longer than this without a look at the clock.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Starts the controllers of a server; they end with its last handle. Call it once.
pub(crate) fn start(server: &ApiServer) {
    server.state.run(run(Arc::downgrade(&server.state)));
}

async fn run(server: Weak<State>) {
    while let Some(changes) = handle(&server).and_then(|it| it.changes(None).ok()) {
        Loop::default().follow(&server, changes).await;
        // Too slow for the store, or it is closed: begin anew, in no haste.
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

fn handle(server: &Weak<State>) -> Option<ApiServer> {
    server.upgrade().map(|state| ApiServer { state })
}

#[derive(Default)]
struct Loop {
    graph: Graph,
    kinds: Kinds,
    expiry: Expiry,
    /// To be looked at by the garbage collector.
    touched: BTreeSet<Place>,
    /// Namespaces on their way out, and those of them to be looked at.
    leaving: BTreeSet<Arc<str>>,
    dirty: BTreeSet<Arc<str>>,
    failures: BTreeMap<Arc<str>, String>,
    retry: bool,
}

impl Loop {
    async fn follow(mut self, server: &Weak<State>, mut changes: Changes) {
        let mut synced = false;
        loop {
            let Some(patience) = handle(server).map(|it| self.patience(&it)) else { return };
            let next = tokio::time::timeout(patience, changes.next()).await;
            let Some(server) = handle(server) else { return };
            match next {
                Ok(Some(change)) => synced |= self.note(&server, &change),
                Ok(None) => return,
                Err(_) => {}
            }
            while let Some(change) = changes.next().now_or_never() {
                let Some(change) = change else { return };
                synced |= self.note(&server, &change);
            }
            // Before everything is known, everything would look like garbage.
            if synced {
                self.work(&server).await;
            }
        }
    }

    fn patience(&self, server: &ApiServer) -> Duration {
        if self.retry {
            return RETRY_AFTER;
        }
        if !(self.touched.is_empty() && self.dirty.is_empty()) {
            return Duration::ZERO;
        }
        let left = self.expiry.next().map(|it| it.duration_since(server.state.now()));
        let left = left.map(|it| Duration::try_from(it).unwrap_or_default());
        left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    /// True when this was the mark that everything has been seen.
    fn note(&mut self, server: &ApiServer, change: &Change) -> bool {
        match change {
            Change::Synced(_) => true,
            Change::Object(change) => {
                self.note_object(server, change);
                false
            }
        }
    }

    fn note_object(&mut self, server: &ApiServer, change: &ObjectChange) {
        let kind: Arc<str> = change.resource.prefix.as_str().into();
        let place = Place {
            kind: kind.clone(),
            namespace: change.namespace.clone().unwrap_or_else(|| "".into()),
            name: change.name.clone(),
        };
        self.kinds.insert(kind, change.resource.clone());
        if let Some(before) = self.graph.remove(&place) {
            self.touch_around(&before);
        }
        let object: Option<Value> =
            change.object.as_ref().and_then(|it| serde_json::from_slice(it).ok());
        match object {
            Some(object) => self.put(server, place.clone(), &object),
            None => self.forget(&place),
        }
        if self.leaving.contains(&place.namespace) {
            self.dirty.insert(place.namespace);
        }
    }

    fn put(&mut self, server: &ApiServer, place: Place, object: &Value) {
        let item = Item::read(place.clone(), object);
        if expiry::expires(&place.kind) {
            let ttl = server.state.config.event_ttl;
            let due = expiry::due(object, server.state.now(), ttl);
            self.expiry.put(place.clone(), due);
        }
        if &*place.kind == namespace::KIND && item.deleting {
            self.leaving.insert(place.name.clone());
            self.dirty.insert(place.name.clone());
        }
        if item.deleting || !item.owners.is_empty() {
            self.touched.insert(place);
        }
        self.touch_around(&item);
        self.graph.put(item);
    }

    fn forget(&mut self, place: &Place) {
        self.expiry.remove(place);
        self.touched.remove(place);
        if &*place.kind == namespace::KIND {
            self.leaving.remove(&place.name);
            self.dirty.remove(&place.name);
            self.failures.remove(&place.name);
        }
    }

    /// Its dependents may have lost an owner, its owners may have waited for it.
    fn touch_around(&mut self, item: &Item) {
        self.touched.extend(self.graph.dependents(&item.uid).map(|it| it.place.clone()));
        let owners = item.owners.iter().filter_map(|it| self.graph.by_uid(&it.uid));
        let waiting = owners.filter(|it| it.deleting).map(|it| it.place.clone());
        self.touched.extend(waiting);
    }

    async fn work(&mut self, server: &ApiServer) {
        self.retry = false;
        let garbage = Caller::new(server.clone(), garbage::USER);
        self.collect_garbage(&garbage).await;
        self.empty_namespaces(&Caller::new(server.clone(), namespace::USER)).await;
        self.expire(&garbage).await;
    }

    async fn collect_garbage(&mut self, caller: &Caller) {
        let mut plans = Vec::new();
        while plans.len() < ROUND {
            let Some(place) = self.touched.pop_first() else { break };
            let Some(item) = self.graph.get(&place) else { continue };
            let seen = garbage::observe(&self.graph, item, &caller.server);
            let effects = garbage::decide::decide(&seen);
            if !effects.is_empty() {
                plans.push((seen.item, effects));
            }
        }
        let kinds = &self.kinds;
        let run = |(item, effects): (Item, Vec<_>)| async move {
            for effect in &effects {
                if let Err(refused) = garbage::apply(caller, kinds, &item, effect).await {
                    tracing::debug!(?effect, %refused, "garbage collection is tried again");
                    return Some(item.place);
                }
            }
            None
        };
        let again: Vec<Place> = futures::stream::iter(plans)
            .map(run)
            .buffer_unordered(CONCURRENT)
            .filter_map(std::future::ready)
            .collect()
            .await;
        self.retry |= !again.is_empty();
        self.touched.extend(again);
    }

    async fn empty_namespaces(&mut self, caller: &Caller) {
        for name in std::mem::take(&mut self.dirty) {
            let failure = self.failures.remove(&name);
            let kinds = &self.kinds;
            let Some(seen) = namespace::observe(&self.graph, kinds, caller, &name, failure) else {
                continue;
            };
            for effect in namespace::decide::decide(&seen) {
                if let Err(refused) = namespace::apply(caller, kinds, &name, &effect).await {
                    tracing::debug!(%name, ?effect, %refused, "emptying a namespace is tried again");
                    self.failures.insert(name.clone(), refused.message);
                    self.dirty.insert(name.clone());
                    self.retry = true;
                }
            }
        }
    }

    async fn expire(&mut self, caller: &Caller) {
        let now = caller.server.state.now();
        let due = self.expiry.take(now, ROUND);
        let kinds = &self.kinds;
        let run = |place: Place| async move {
            let path = kinds.get(&place.kind)?.path(Some(&place.namespace), &place.name);
            let options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
            let refused = caller.delete(&path, &options).await.err()?;
            tracing::debug!(name = %place.name, %refused, "an event could not be expired");
            Some(place)
        };
        let again: Vec<Place> = futures::stream::iter(due)
            .map(run)
            .buffer_unordered(CONCURRENT)
            .filter_map(std::future::ready)
            .collect()
            .await;
        self.retry |= !again.is_empty();
        for place in again {
            self.expiry.put(place, now);
        }
    }
}
