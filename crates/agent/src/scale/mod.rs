//! Gives the cluster the nodes that its pods need, and takes those that none needs.
//!
//! The rule is `kogge_autoscale`'s. Reading order: [`groups`] (where nodes come from, and which
//! are on their way), [`report`] (what the hub hears of a plan), [`effects`] (what is done to the
//! member), this file the loop.

mod effects;
mod groups;
mod report;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use kogge_autoscale::{Observed, Plan, decide, is_draining};
use kogge_member::{
    Client,
    watch::{Scope, watch},
};
use kogge_model::{Node, Resources};
use serde_json::Value;
use tokio::{sync::watch as channel, time::Instant};

use self::{
    groups::{Groups, Memory, Supply, Taken},
    report::Told,
};
use crate::{
    link::{HubLink, Room},
    run::Config,
    view::View,
};

/// ClusterAutoscalers by name: their specs.
pub(crate) type Autoscalers = BTreeMap<String, Value>;

/// News that come together are one round.
const GATHER: Duration = Duration::from_millis(300);

/// Between rounds without news: while nodes come or go, and when all is settled.
const BUSY: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_secs(15);

pub(crate) struct Scaler {
    client: Client,
    link: Arc<dyn HubLink>,
    now: fn() -> Timestamp,
    cluster: String,
    view: View,
    /// `None` until the hub has said.
    autoscalers: channel::Receiver<Option<Autoscalers>>,
    groups: Groups,
    memory: Memory,
    /// By autoscaler.
    told: BTreeMap<String, Told>,
}

impl Scaler {
    pub fn new(
        config: &Config,
        view: View,
        autoscalers: channel::Receiver<Option<Autoscalers>>,
    ) -> Self {
        Self {
            client: config.client.clone(),
            link: config.link.clone(),
            now: config.now,
            cluster: config.cluster.clone(),
            view,
            autoscalers,
            groups: Groups::default(),
            memory: Memory::default(),
            told: BTreeMap::new(),
        }
    }

    /// Scales for ever, while an autoscaler covers the cluster.
    pub async fn run(mut self) {
        loop {
            let covered = self.autoscalers.borrow_and_update().as_ref().map(|it| !it.is_empty());
            if covered == Some(true) {
                self.keep().await;
                if self.autoscalers.has_changed().is_ok() {
                    continue;
                }
            } else if covered == Some(false) && !self.stand_down().await {
                tokio::select! {
                    Ok(()) = self.autoscalers.changed() => {}
                    () = tokio::time::sleep(BUSY) => {}
                }
                continue;
            }
            if self.autoscalers.changed().await.is_err() {
                // The agent stops; it ends this.
                return std::future::pending().await;
            }
        }
    }

    /// Scales until no autoscaler is left.
    async fn keep(&mut self) {
        let resource = groups::resource();
        let mut seen = Box::pin(watch(self.client.clone(), resource, Scope::default()));
        let mut changes = self.view.changes();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                Some(seen) = seen.next() => self.groups.note(&self.cluster, seen),
                Ok(()) = changes.changed() => {}
                changed = self.autoscalers.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
            tokio::time::sleep(GATHER).await;
            while let Some(Some(seen)) = seen.next().now_or_never() {
                self.groups.note(&self.cluster, seen);
            }
            changes.mark_unchanged();
            let Some(autoscalers) = self.autoscalers.borrow_and_update().clone() else { return };
            if autoscalers.is_empty() {
                return;
            }
            let busy = self.round(&autoscalers).await;
            next = Instant::now() + if busy { BUSY } else { QUIET };
        }
    }

    /// One look at everything; says whether something is under way.
    async fn round(&mut self, autoscalers: &Autoscalers) -> bool {
        let Some((nodes, pods)) = self.view.cluster() else { return false };
        let now = (self.now)();
        self.told.retain(|name, _| autoscalers.contains_key(name));
        if let Some(why) = self.groups.refused().map(str::to_owned) {
            for name in autoscalers.keys() {
                self.tell(name, report::no_groups(&self.cluster, &nodes, &why));
            }
            self.view.set_growth(Vec::new());
            return false;
        }
        let mut growth = Vec::new();
        let mut busy = false;
        let mut taken = Taken::default();
        for (name, spec) in autoscalers {
            let spec = match report::spec(spec) {
                Ok(spec) => spec,
                Err(message) => {
                    self.tell(name, report::refused(&self.cluster, message));
                    continue;
                }
            };
            let Some(supply) = self.supply(&nodes, now).await else { return true };
            let unneeded_since =
                self.told.get(name).map(|it| it.unneeded_since.clone()).unwrap_or_default();
            let selector = spec.node_selector.clone();
            let mut observed = Observed {
                now,
                spec,
                nodes: nodes.clone(),
                coming: supply.coming,
                pods: pods.clone(),
                groups: supply.groups,
                unneeded_since,
                given_up: self.memory.given_up(now),
            };
            let overlap = taken.leave_out(&mut observed);
            let mut plan = decide(&observed);
            taken.add(name, selector, &plan);
            plan.reasons.extend(overlap);
            busy |= !observed.coming.is_empty()
                || !plan.effects.is_empty()
                || !plan.unneeded_since.is_empty();
            growth.extend(groups::growth(&observed, &plan));
            self.carry_out(name, plan).await;
        }
        self.view.set_growth(merge(growth));
        // Whose autoscaler went away, or selects other nodes now.
        let left = |it: &&Node| is_draining(it) && taken.owner(it).is_none();
        self.uncordon(nodes.iter().filter(left)).await;
        busy
    }

    /// Lets pods in again; says whether all of it was done.
    async fn uncordon<'a>(&self, nodes: impl Iterator<Item = &'a Node>) -> bool {
        let mut done = true;
        for node in nodes {
            if let Err(error) = effects::uncordon(&self.client, &node.name).await {
                tracing::warn!(cluster = self.cluster, error = error.chain(), "still cordoned");
                done = false;
            }
        }
        done
    }

    /// Where nodes come from; gives up what did not come. None until the groups are known.
    async fn supply(&mut self, nodes: &[Node], now: Timestamp) -> Option<Supply> {
        let supply = self.groups.supply(nodes, now, &mut self.memory)?;
        for failed in &supply.failed {
            tracing::info!(cluster = self.cluster, group = failed.group, "nodes did not come");
            let done = effects::resize(&self.client, &mut self.groups, &failed.group, failed.to);
            if let Err(error) = done.await {
                tracing::warn!(
                    cluster = self.cluster,
                    error = error.chain(),
                    "cannot give up nodes"
                );
            }
        }
        Some(supply)
    }

    async fn carry_out(&mut self, name: &str, plan: Plan) {
        let mut message = report::of(&self.cluster, &plan);
        let done = effects::carry_out(&self.client, &mut self.groups, &plan.effects).await;
        message.events.extend(done);
        self.told.entry(name.to_owned()).or_default().unneeded_since = plan.unneeded_since;
        self.tell(name, message);
    }

    fn tell(&mut self, name: &str, message: report::Message) {
        let told = self.told.entry(name.to_owned()).or_default();
        if let Some(report) = told.news(name, message) {
            self.link.report(report);
        }
    }

    /// Nobody wants nodes to go any more: those that were on their way out take pods again. False
    /// if that has to be tried again.
    async fn stand_down(&mut self) -> bool {
        self.told.clear();
        self.memory = Memory::default();
        self.view.set_growth(Vec::new());
        let Some((nodes, _)) = self.view.cluster() else { return false };
        self.uncordon(nodes.iter().filter(|it| is_draining(it))).await
    }
}

/// Rooms of the same size are one.
fn merge(rooms: Vec<Room>) -> Vec<Room> {
    let mut merged: BTreeMap<Resources, u32> = BTreeMap::new();
    for room in rooms {
        *merged.entry(room.free).or_default() += room.nodes;
    }
    merged.into_iter().map(|(free, nodes)| Room { free, nodes }).collect()
}
