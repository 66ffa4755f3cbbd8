//! Gives waiting pods a node, or says on the pod why there is none.
//!
//! `state` decides over what three watches have told; this file reads and writes.

mod state;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::join_all};
use jiff::Timestamp;
use kogge_member::{
    Client, Error, object,
    watch::{Scope, Seen, watch},
};
use kogge_model::Pod;
use serde_json::json;

use self::state::{NAME, State, Verdict};
use crate::{events::Event, kinds, time::seconds};

/// Between tries of a binding that failed.
const RETRY: Duration = Duration::from_millis(500);
const FOR_EVER: Duration = Duration::from_hours(24);

/// Binds pods of the default scheduler. Endless.
pub async fn run(client: Client, now: fn() -> Timestamp) {
    let all = |resource| Box::pin(watch(client.clone(), resource, Scope::default()));
    let (mut pods, mut nodes, mut claims) =
        (all(kinds::pods()), all(kinds::nodes()), all(kinds::claims()));
    let mut classes = all(kinds::storage_classes());
    let mut scheduler =
        Scheduler { client: client.clone(), now, state: State::default(), said: BTreeMap::new() };
    let mut wait = FOR_EVER;
    loop {
        tokio::select! {
            Some(seen) = pods.next() => scheduler.note_pods(seen),
            Some(seen) = nodes.next() => scheduler.note_nodes(seen),
            Some(seen) = claims.next() => scheduler.note_claims(seen),
            Some(seen) = classes.next() => scheduler.note_classes(seen),
            () = tokio::time::sleep(wait) => {}
        }
        while let Some(Some(seen)) = nodes.next().now_or_never() {
            scheduler.note_nodes(seen);
        }
        while let Some(Some(seen)) = claims.next().now_or_never() {
            scheduler.note_claims(seen);
        }
        while let Some(Some(seen)) = pods.next().now_or_never() {
            scheduler.note_pods(seen);
        }
        wait = if scheduler.pass().await { FOR_EVER } else { RETRY };
    }
}

struct Scheduler {
    client: Client,
    now: fn() -> Timestamp,
    state: State,
    /// The last word on each pod that found no node, by uid.
    said: BTreeMap<String, String>,
}

impl Scheduler {
    fn note_pods(&mut self, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                self.state.pods.clear();
                for it in &items {
                    self.state.note_pod(it);
                }
            }
            Seen::Applied(pod) => self.state.note_pod(&pod),
            Seen::Deleted(pod) => {
                self.state.pods.remove(object::uid(&pod));
                self.said.remove(object::uid(&pod));
            }
            Seen::Broken(error) => broken(&error),
        }
    }

    fn note_nodes(&mut self, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                self.state.nodes.clear();
                for it in &items {
                    self.state.note_node(it);
                }
            }
            Seen::Applied(node) => self.state.note_node(&node),
            Seen::Deleted(node) => drop(self.state.nodes.remove(object::name(&node))),
            Seen::Broken(error) => broken(&error),
        }
    }

    fn note_claims(&mut self, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                self.state.claims.clear();
                for it in &items {
                    self.state.note_claim(it);
                }
            }
            Seen::Applied(claim) => self.state.note_claim(&claim),
            Seen::Deleted(claim) => self.state.forget_claim(&claim),
            Seen::Broken(error) => broken(&error),
        }
    }

    fn note_classes(&mut self, seen: Seen) {
        match seen {
            Seen::Reset { items, .. } => {
                self.state.late.clear();
                for it in &items {
                    self.state.note_class(it);
                }
            }
            Seen::Applied(class) => self.state.note_class(&class),
            Seen::Deleted(class) => drop(self.state.late.remove(object::name(&class))),
            Seen::Broken(error) => broken(&error),
        }
    }

    /// Decides on every waiting pod, and writes it. False: some writes are to be tried again.
    async fn pass(&mut self) -> bool {
        let decided = self.state.decide();
        let news: Vec<_> = decided
            .into_iter()
            .filter(|(pod, verdict)| match verdict {
                Verdict::Bind(_) => true,
                Verdict::Unschedulable(why) => self.said.get(&pod.uid) != Some(why),
            })
            .collect();
        let written = {
            let writes = news.iter().map(|(pod, verdict)| self.write(pod, verdict));
            join_all(writes).await
        };
        let mut fine = true;
        for ((pod, verdict), written) in news.into_iter().zip(written) {
            match (written, verdict) {
                (Ok(()), Verdict::Bind(node)) => {
                    self.state.assume(&pod.uid, Some(&node));
                    self.said.remove(&pod.uid);
                }
                (Ok(()), Verdict::Unschedulable(why)) => {
                    self.said.insert(pod.uid.clone(), why);
                }
                // Gone, or bound by somebody else: the watch will tell.
                (Err(error), _) if error.is_not_found() || error.is_conflict() => {}
                (Err(error), _) => {
                    tracing::debug!(error = %error.chain(), "could not schedule a pod");
                    fine = false;
                }
            }
        }
        fine
    }

    async fn write(&self, pod: &Arc<Pod>, verdict: &Verdict) -> Result<(), Error> {
        match verdict {
            Verdict::Bind(node) => self.bind(pod, node).await,
            Verdict::Unschedulable(why) => self.tell(pod, why).await,
        }
    }

    async fn bind(&self, pod: &Pod, node: &str) -> Result<(), Error> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        self.client.post(&kinds::pods(), &pod.namespace, &pod.name, "binding", &binding).await?;
        let said = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
        self.note(pod, ("Normal", "Scheduled"), &said).await;
        Ok(())
    }

    async fn tell(&self, pod: &Pod, why: &str) -> Result<(), Error> {
        let now = seconds((self.now)());
        let patch = json!({"metadata": {"uid": pod.uid}, "status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": why, "lastTransitionTime": now}]}});
        self.client
            .merge(&kinds::pods(), &pod.namespace, &pod.name, Some("status"), &patch)
            .await?;
        self.note(pod, ("Warning", "FailedScheduling"), why).await;
        Ok(())
    }

    /// An event; one that is lost is no harm.
    async fn note(&self, pod: &Pod, (kind, reason): (&str, &str), message: &str) {
        let about = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}});
        let event = Event { about: &about, kind, reason, message, by: NAME };
        if let Err(error) = self.client.create(&kinds::events(), &event.at((self.now)())).await {
            tracing::debug!(error = %error.chain(), "could not write an event");
        }
    }
}

fn broken(error: &Error) {
    tracing::debug!(error = %error.chain(), "a watch broke");
}
