//! Taints clusters that fail, moves off them what may move, and says why the rest stays.
//!
//! The rules are the planner's (`kogge_placement::failover`); [`decide`] turns what is stored into
//! its input and its words into effects, this file reads and writes around them. A move is a task
//! in the binding: the placement controller then decides where to, in one write.

mod decide;
mod memory;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::try_join_all;
use jiff::Timestamp;
use kogge_api::{
    fleet,
    work::{EvictionTask, ResourceBinding},
};
use kogge_member::{Error, ObjectKey};
use kogge_placement::failover::{
    Change, Fleet, Member, Millis, Moves as Planned, Placed, Settings, assess, plan,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::{
    decide::{APPROVE, Effect, Places, begin, binding_of, member, placed, say, tell},
    memory::{Memory, Subject, essence},
};
use crate::{
    bindings,
    cache::{Changed, Object},
    context::Shared,
    controllers::{cluster, placement},
    events::Event,
    lock::lock,
    moves::{Move, Moves},
    policies::Policies,
    reports::Reports,
    runner::{Again, Controller},
    verdicts::Verdicts,
};

const BINDING_VERSION: &str = "work.karmada.io/v1alpha2";

/// After a look at all templates so many times as long as it took, and this long at most, only clusters
/// are judged: thousands that move are looked at less often than a few.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// While something is afoot, as long as this passes without a look at most.
const RESYNC: Duration = Duration::from_mins(1);

pub(crate) struct FailoverController {
    hub: Shared,
    policies: Policies,
    reports: Reports,
    verdicts: Verdicts,
    moves: Moves,
    settings: Settings,
    started: Millis,
    memory: Mutex<Memory>,
}

/// What came of a look at all templates.
struct Round {
    /// When time alone changes something.
    again: Option<Millis>,
    /// Failed clusters concern some.
    concerns: bool,
}

/// All clusters are judged together, as one key.
pub(crate) fn key() -> ObjectKey {
    ObjectKey::new(cluster::GROUP, "Fleet", "", "fleet")
}

impl FailoverController {
    pub fn new(
        hub: Shared,
        policies: Policies,
        reports: Reports,
        verdicts: Verdicts,
        moves: Moves,
    ) -> Self {
        let (settings, memory) = (Settings::default(), Mutex::default());
        let started = (hub.now)().as_millisecond();
        Self { hub, policies, reports, verdicts, moves, settings, started, memory }
    }

    fn file_cluster(&self, change: &Changed) -> bool {
        let name = change.key.name.clone();
        let object = change.object.as_ref().map(Object::value);
        let cluster = object.and_then(|it| serde_json::from_value(it).ok()).map(essence);
        let mut memory = lock(&self.memory);
        let Some(cluster) = cluster else { return memory.clusters.remove(&name).is_some() };
        let before = memory.clusters.insert(name, cluster.clone());
        let unversioned = |mut it: fleet::Cluster| {
            it.metadata.resource_version.clear();
            it
        };
        before.map(unversioned) != Some(unversioned(cluster))
    }

    fn file_binding(&self, change: &Changed) -> bool {
        // Most changes are of that sort, and place nothing; who is being moved waits for health.
        if change.is_status_only() {
            let memory = lock(&self.memory);
            let has_tasks = |it| memory.places.get(it).is_some_and(|it| it.has_tasks);
            return change.templates().iter().any(has_tasks);
        }
        let places = change.object.as_ref().map(|it| Places::of(&it.value())).unwrap_or_default();
        let mut memory = lock(&self.memory);
        let mut concerns = places.has_tasks;
        for template in change.templates() {
            concerns |= memory.places.get(template).is_some_and(|it| it.has_tasks);
            if change.object.is_some() {
                memory.places.insert(template.clone(), places.clone());
            } else {
                memory.places.remove(template);
            }
        }
        concerns || places.clusters.iter().any(|it| memory.left.contains(it))
    }

    /// Those that something is to be said or done about.
    fn subjects(&self, left: &BTreeSet<String>) -> Vec<Arc<Subject>> {
        let concerned =
            |it: &Places| it.has_tasks || it.clusters.iter().any(|it| left.contains(it));
        let memory = lock(&self.memory);
        let keys = memory.places.iter().filter(|it| concerned(it.1)).map(|it| it.0.clone());
        let keys: Vec<ObjectKey> = keys.collect();
        drop(memory);
        let mut before = std::mem::take(&mut lock(&self.memory).read);
        let read = |key: ObjectKey| {
            let known = before.remove(&key);
            Some((key.clone(), self.subject(key, known)?))
        };
        let now: BTreeMap<_, _> = keys.into_iter().filter_map(read).collect();
        let subjects = now.values().map(|it| it.1.clone()).collect();
        lock(&self.memory).read = now;
        subjects
    }

    fn subject(
        &self,
        key: ObjectKey,
        known: Option<((u64, u64), Arc<Subject>)>,
    ) -> Option<((u64, u64), Arc<Subject>)> {
        let template = self.hub.cache.get(&key)?;
        let binding = self.hub.cache.get(&binding_of(&key))?;
        let revisions = (template.revision, binding.revision);
        if let Some(known) = known.filter(|it| it.0 == revisions) {
            return Some(known);
        }
        let binding: ResourceBinding = serde_json::from_slice(&binding.bytes).ok()?;
        let placed = placed(key.to_string(), &template.value(), &binding);
        Some((revisions, Arc::new(Subject { key, binding, placed })))
    }

    fn plan(&self, now: Millis, fleet: &Fleet, subjects: &[Arc<Subject>]) -> Planned {
        let keys: BTreeMap<&str, &ObjectKey> =
            subjects.iter().map(|it| (it.placed.id.as_str(), &it.key)).collect();
        let elsewhere = |it: &Placed, left: &BTreeSet<String>| {
            let key = keys.get(it.id.as_str()).ok_or_else(|| "it is gone".to_owned())?;
            let seen = placement::observe(&self.hub, &self.policies, &self.reports, key);
            placement::could_leave(&seen, left)
        };
        let mut memory = lock(&self.memory);
        memory.recent.retain(|it| now - it < 1_000);
        let recent = memory.recent.clone();
        drop(memory);
        let placed = subjects.iter().map(|it| &it.placed);
        plan(now, fleet, placed, &recent, &elsewhere, &self.settings)
    }

    /// The tasks that a binding is to have, if others than it has.
    fn tasks(&self, now: Timestamp, it: &Subject, planned: &Planned) -> Option<Vec<EvictionTask>> {
        let id = &it.placed.id;
        let mut evictions = planned.evictions.iter().filter(|it| it.id == *id).peekable();
        if evictions.peek().is_none() && it.placed.tasks.is_empty() {
            return None;
        }
        let mut tasks = it.binding.spec.graceful_eviction_tasks.clone();
        tasks.retain_mut(|task| {
            let change = planned.changes.get(&(id.clone(), task.from_cluster.clone()));
            if change == Some(&Change::Purge) {
                task.purged_at = Timestamp::from_second(now.as_second()).ok();
            }
            change != Some(&Change::End)
        });
        for eviction in evictions {
            for (cluster, why) in &eviction.from {
                let last = self.last_status(it, cluster);
                tasks.push(begin(now, &it.binding, (cluster, why), last.as_ref()));
            }
        }
        (tasks != it.binding.spec.graceful_eviction_tasks).then_some(tasks)
    }

    /// Judges all clusters, and tells each what is said of it. One that cannot be written does not
    /// keep the others waiting.
    async fn judge_clusters(&self, at: Timestamp) -> (Fleet, Result<(), Error>) {
        let now = at.as_millisecond();
        let clusters: Vec<fleet::Cluster> = lock(&self.memory).clusters.values().cloned().collect();
        let word = |it: &fleet::Cluster| self.verdicts.word(&it.metadata.name);
        let members: Vec<Member> =
            clusters.iter().map(|it| member(now, self.started, it, word(it))).collect();
        let fleet = assess(now, &members, self.verdicts.is_cut_off(), &self.settings);
        let mut told = Ok(());
        for cluster in &clusters {
            let name = &cluster.metadata.name;
            let Some(judged) = fleet.members.get(name) else { continue };
            for effect in tell(at, cluster, judged, &self.verdicts.seen_by(name)) {
                told = told.and(self.apply(cluster, effect).await);
            }
        }
        for cluster in clusters.iter().filter(|it| self.reports.held(&it.metadata.name).is_some()) {
            self.hub.works.repeat_left(&cluster.metadata.name);
        }
        (fleet, told)
    }

    /// Moves what may move now off the clusters that are left, and says why the rest stays.
    async fn move_templates(
        &self,
        at: Timestamp,
        fleet: &Fleet,
        left: &BTreeSet<String>,
    ) -> Result<Round, Error> {
        let (now, begun) = (at.as_millisecond(), Instant::now());
        let subjects = self.subjects(left);
        let planned = self.plan(now, fleet, &subjects);
        self.publish(&subjects, &planned);
        let writes = subjects.iter().filter_map(|it| Some((it, self.tasks(at, it, &planned)?)));
        let writes: Vec<_> = writes.collect();
        let ends = planned.changes.values().filter(|it| **it == Change::End).count();
        let moved = planned.evictions.len() + ends;
        let rest = (begun.elapsed() * REST).min(LONGEST_REST);
        lock(&self.memory).rests_until = Some(Instant::now() + rest);
        lock(&self.memory).recent.extend(std::iter::repeat_n(now, moved));
        let writes = writes.iter().map(|(it, tasks)| self.write_tasks(it, tasks));
        try_join_all(writes).await?;
        Ok(Round { again: planned.again, concerns: !subjects.is_empty() })
    }

    /// What a cluster last said of a template, as stored if its agent's word is gone.
    fn last_status(&self, it: &Subject, cluster: &str) -> Option<Value> {
        let reported = self.reports.object(&it.key).remove(cluster).and_then(|it| it.status);
        let stored = || {
            let mut items = it.binding.status.aggregated_status.iter();
            items.find(|it| it.cluster_name == cluster)?.status.clone()
        };
        reported.or_else(stored)
    }

    async fn write_tasks(&self, it: &Subject, tasks: &[EvictionTask]) -> Result<(), Error> {
        let key = binding_of(&it.key);
        let resource = self.hub.resource(BINDING_VERSION, &key.kind).await?;
        let tasks = if tasks.is_empty() { Value::Null } else { json!(tasks) };
        let patch = json!({
            "metadata": {"resourceVersion": it.binding.metadata.resource_version},
            "spec": {"gracefulEvictionTasks": tasks},
        });
        match self.hub.client.merge(&resource, &key.namespace, &key.name, None, &patch).await {
            // Its change leads here again, and so it is decided anew.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn apply(&self, cluster: &fleet::Cluster, effect: Effect) -> Result<(), Error> {
        let key = ObjectKey::new(cluster::GROUP, "Cluster", "", &cluster.metadata.name);
        match effect {
            Effect::SetTaints(taints) => {
                let taints = if taints.is_empty() { Value::Null } else { json!(taints) };
                let version = &cluster.metadata.resource_version;
                let patch = json!({
                    "metadata": {"resourceVersion": version}, "spec": {"taints": taints}});
                match self.patch(&key, &patch).await {
                    Err(error) if error.is_conflict() => Ok(()),
                    other => other,
                }
            }
            Effect::SetConditions(conditions) => {
                let status = json!({ "conditions": conditions });
                self.hub.patch_status(cluster::API_VERSION, &key, &status).await
            }
            Effect::UseUpApproval => {
                let none = json!({"metadata": {"annotations": {APPROVE: null}}});
                self.patch(&key, &none).await
            }
            Effect::Say { warning, reason, message } => {
                if let Some(object) = self.hub.cache.value(&key) {
                    self.hub.events.say(Event::about(&object, warning, reason, message));
                }
                Ok(())
            }
        }
    }

    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<(), Error> {
        let resource = self.hub.resource(cluster::API_VERSION, "Cluster").await?;
        match self.hub.client.merge(&resource, "", &key.name, None, patch).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Hands what is said of each template to its binding's status.
    fn publish(&self, subjects: &[Arc<Subject>], planned: &Planned) {
        let mut all: BTreeMap<ObjectKey, Move> = BTreeMap::new();
        for it in subjects {
            let of_it = planned.report.range((it.placed.id.clone(), String::new())..);
            let of_it = of_it.take_while(|((id, _), _)| *id == it.placed.id);
            let verdicts: Vec<_> = of_it.map(|((_, at), it)| (at.as_str(), it)).collect();
            if !verdicts.is_empty() {
                all.insert(
                    it.key.clone(),
                    say(&verdicts, &it.binding.spec.graceful_eviction_tasks),
                );
            }
        }
        for changed in self.moves.replace(all) {
            self.reports.decided(&changed);
        }
    }
}

impl Controller for FailoverController {
    const NAME: &'static str = "failover";
    const DECIDES: bool = true;
    const AT_ONCE: usize = 1;
    /// Each move is news of its binding: what moves together is looked at together.
    const GATHER: Duration = Duration::from_millis(250);

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let is_cluster = change.key.group == cluster::GROUP && change.key.kind == "Cluster";
        let concerns = if is_cluster {
            self.file_cluster(change)
        } else {
            bindings::is_binding(&change.key) && self.file_binding(change)
        };
        if concerns { vec![key()] } else { Vec::new() }
    }

    async fn reconcile(&self, _: &ObjectKey) -> Result<Again, Error> {
        let at = (self.hub.now)();
        let (fleet, told) = self.judge_clusters(at).await;
        let evicts = |it: &kogge_placement::failover::Assessed| {
            it.taints.iter().any(|it| it.taint.effect == "NoExecute")
        };
        let left = fleet.members.iter().filter(|it| evicts(it.1)).map(|it| it.0.clone());
        let left: BTreeSet<String> = left.collect();
        lock(&self.memory).left.clone_from(&left);
        let rests_until = lock(&self.memory).rests_until;
        let rest = rests_until.map(|it| it.saturating_duration_since(Instant::now()));
        if let Some(rest) = rest.filter(|it| !it.is_zero()) {
            told?;
            return Ok(Some(rest));
        }
        let round = self.move_templates(at, &fleet, &left).await?;
        told?;
        let again = [fleet.again, round.again].into_iter().flatten().min();
        // The time that this took is no time to wait on top.
        let after = (self.hub.now)().as_millisecond();
        let wait =
            again.map(|it| Duration::from_millis(u64::try_from(it - after).unwrap_or(0).max(10)));
        let afoot = round.concerns || !left.is_empty();
        Ok(wait.map(|it| it.min(RESYNC)).or_else(|| afoot.then_some(RESYNC)))
    }
}
