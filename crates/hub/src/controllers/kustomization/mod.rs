//! Applies what a path of a Git revision renders to, and keeps the hub like that.
//!
//! Reading order: this file follows an attempt from source to status, [`decide`] holds
//! the rules, [`apply`] puts the objects on the hub and takes away what left Git.

mod apply;
mod decide;

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use kogge_api::{
    flux::{GitRepository, Kustomization},
    parse_duration,
};
use kogge_git::{BuildError, RenderedObject};
use kogge_member::{Error, ObjectKey, object};
use kogge_sync::health;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::{
    apply::{Applier, Done, Memory, Refused},
    decide::{
        Attempt, Outcome, again, decide, entries, grown, render_options, unsupported, waits_for,
    },
};
use super::source;
use crate::{
    cache::{Changed, Object},
    context::Shared,
    events::Event,
    git::{Git, chain},
    lock::lock,
    runner::{Again, Controller},
};

pub(crate) const GROUP: &str = "kustomize.toolkit.fluxcd.io";
const API_VERSION: &str = "kustomize.toolkit.fluxcd.io/v1";
/// Keeps a Kustomization until what it applied is pruned, as in Flux.
const FINALIZER: &str = "finalizers.fluxcd.io";

pub(crate) struct KustomizationController {
    hub: Shared,
    git: Git,
    memory: Memory,
    /// Since when a revision waits for its objects to be healthy.
    waiting: Mutex<BTreeMap<ObjectKey, (String, Instant)>>,
}

impl KustomizationController {
    pub fn new(hub: Shared, git: Git) -> Self {
        Self { hub, git, memory: Memory::default(), waiting: Mutex::default() }
    }

    fn find(&self, namespace: &str, name: &str) -> Option<Kustomization> {
        let key = ObjectKey::new(GROUP, "Kustomization", namespace, name);
        serde_json::from_value(self.hub.cache.value(&key)?).ok()
    }

    async fn attempt(
        &self,
        key: &ObjectKey,
        it: &Kustomization,
        owner: &Value,
    ) -> Result<Attempt, Error> {
        let (revision, rendered) = match self.render(it).await {
            Ok(found) => found,
            Err(attempt) => return Ok(attempt),
        };
        let applier = Applier { hub: &self.hub, memory: &self.memory, owner: key };
        let done = match applier.apply(&rendered).await {
            Ok(done) => done,
            Err((refused, done)) => {
                let reason = "ReconciliationFailed";
                let attempt = match refused {
                    Refused::Invalid(message) => Attempt::failed(&revision, reason, message),
                    Refused::NotYet(message) => Attempt::blocked(&revision, reason, message),
                };
                return Ok(Attempt { inventory: grown(it, &done.entries), ..attempt });
            }
        };
        for what in &done.put_back {
            self.hub.events.say(Event::about(owner, true, "DriftHealed", what.clone()));
        }
        let left = decide::what_left(it, &done.entries);
        let gone = applier.delete(&left.delete).await?;
        if !gone.is_empty() {
            let message = format!("pruned {}", gone.join(", "));
            self.hub.events.say(Event::about(owner, false, "Pruned", message));
        }
        let outcome = match left.held {
            Some(message) => Outcome::Failed { reason: "PruneHeld", message },
            None => self.health(key, it, &revision, &done),
        };
        let used_approval = left.used_approval;
        Ok(Attempt { revision, outcome, inventory: Some(left.keep), used_approval })
    }

    /// The source's revision, and what the path renders to there; else what keeps it from that.
    async fn render(
        &self,
        it: &Kustomization,
    ) -> Result<(String, std::sync::Arc<Vec<RenderedObject>>), Attempt> {
        if let Some(message) = unsupported(&it.spec) {
            return Err(Attempt::failed("", "Unsupported", message));
        }
        let source_key = source_of(it);
        let source = self.hub.cache.value(&source_key);
        let source = source.and_then(|it| serde_json::from_value::<GitRepository>(it).ok());
        let Some(source) = source else {
            let message =
                format!("GitRepository {}/{} is not there", source_key.namespace, source_key.name);
            return Err(Attempt::failed("", "ArtifactFailed", message));
        };
        let Some(artifact) = &source.status.artifact else {
            let message = "the source has no artifact yet".to_owned();
            return Err(Attempt::blocked("", "ArtifactFailed", message));
        };
        let revision = artifact.revision.clone();
        if let Some(message) = waits_for(it, |namespace, name| self.find(namespace, name)) {
            return Err(Attempt::blocked(&revision, "DependencyNotReady", message));
        }
        let commit = revision.rsplit_once("sha1:").map_or("", |it| it.1).to_owned();
        let options = render_options(it, source.spec.ignore.clone());
        let (git, path, url) = (self.git.clone(), it.spec.path.clone(), source.spec.url);
        let rendered = tokio::task::spawn_blocking(move || {
            let repository = git.repository(&source_key, &url).map_err(|it| chain(&it));
            let repository = repository.map_err(|it| ("ArtifactFailed", it))?;
            let tree = repository.tree(&commit, &path);
            let tree = tree.map_err(|it| ("BuildFailed", chain(&it)))?;
            git.renderer.render(&tree, &options).map_err(|it| (reason(&it), chain(&it)))
        });
        match rendered.await {
            Ok(Ok(rendered)) => Ok((revision, rendered)),
            Ok(Err((reason, message))) => Err(Attempt::failed(&revision, reason, message)),
            Err(error) => Err(Attempt::failed(&revision, "BuildFailed", error.to_string())),
        }
    }

    /// Whether what has to be healthy is.
    fn health(&self, key: &ObjectKey, it: &Kustomization, revision: &str, done: &Done) -> Outcome {
        let checked = if it.spec.wait { done.keys.clone() } else { health_checks(it) };
        let now = (self.hub.now)();
        let bad = checked.iter().find_map(|it| {
            let Some(live) = self.hub.cache.value(it) else {
                return Some((false, format!("{it} is not there")));
            };
            let found = health::health(&live, now);
            let fine = matches!(found.state, health::State::Current | health::State::Pending);
            (!fine)
                .then(|| (found.state == health::State::Failed, format!("{it}: {}", found.message)))
        });
        let mut waiting = lock(&self.waiting);
        let Some((failed, what)) = bad else {
            waiting.remove(key);
            return Outcome::Applied;
        };
        let begun = || (revision.to_owned(), Instant::now());
        let since = waiting.entry(key.clone()).or_insert_with(begun);
        if since.0 != revision {
            *since = begun();
        }
        let timeout = it.spec.timeout.as_deref().or(Some(&it.spec.interval));
        let timeout = timeout.and_then(parse_duration).unwrap_or(Duration::from_mins(5));
        if failed || timeout <= since.1.elapsed() {
            return Outcome::Failed { reason: "HealthCheckFailed", message: what };
        }
        Outcome::Waiting(what)
    }

    /// Takes away what it applied, if it prunes at all; then it may go.
    async fn finish(
        &self,
        key: &ObjectKey,
        it: &Kustomization,
        owner: &Value,
    ) -> Result<(), Error> {
        if !it.metadata.finalizers.iter().any(|it| it == FINALIZER) {
            return Ok(());
        }
        let orphan = it.spec.deletion_policy.as_deref() == Some("Orphan");
        if it.spec.prune && !it.spec.suspend && !orphan {
            let applier = Applier { hub: &self.hub, memory: &self.memory, owner: key };
            applier.delete(entries(it)).await?;
        }
        self.set_finalizers(key, owner, |all| all.retain(|it| it != FINALIZER)).await
    }

    /// The word was for what is gone now, and not for what may leave later.
    async fn use_up_approval(&self, key: &ObjectKey) -> Result<(), Error> {
        let resource = self.hub.resource(API_VERSION, "Kustomization").await?;
        let gone = json!({"metadata": {"annotations": {decide::APPROVE_DELETIONS: null}}});
        let merged = self.hub.client.merge(&resource, &key.namespace, &key.name, None, &gone);
        merged.await.map(|_| ())
    }

    async fn set_finalizers(
        &self,
        key: &ObjectKey,
        owner: &Value,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<(), Error> {
        let all = owner.pointer("/metadata/finalizers").cloned().unwrap_or(json!([]));
        let mut all: Vec<String> = serde_json::from_value(all).unwrap_or_default();
        change(&mut all);
        let version = object::resource_version(owner);
        let patch = json!({"metadata": {"finalizers": all, "resourceVersion": version}});
        let resource = self.hub.resource(API_VERSION, "Kustomization").await?;
        let patched = self.hub.client.merge(&resource, &key.namespace, &key.name, None, &patch);
        patched.await.map(|_| ())
    }

    fn all_where(&self, wanted: impl Fn(&Kustomization) -> bool) -> Vec<ObjectKey> {
        let all = self.hub.cache.all(GROUP, "Kustomization").into_iter();
        let read = |it: &Object| serde_json::from_slice::<Kustomization>(&it.bytes).ok();
        all.filter(|(_, it)| read(it).is_some_and(|it| wanted(&it))).map(|(key, _)| key).collect()
    }
}

fn source_of(it: &Kustomization) -> ObjectKey {
    let reference = &it.spec.source_ref;
    let namespace = reference.namespace.as_deref().unwrap_or(&it.metadata.namespace);
    ObjectKey::new(source::GROUP, &reference.kind, namespace, &reference.name)
}

fn depends_on(it: &Kustomization, key: &ObjectKey) -> bool {
    it.spec.depends_on.iter().any(|dependency| {
        let reference = &dependency.reference;
        let namespace = reference.namespace.as_deref().unwrap_or(&it.metadata.namespace);
        reference.name == key.name && namespace == key.namespace
    })
}

fn health_checks(it: &Kustomization) -> Vec<ObjectKey> {
    let listed = it.spec.rest.get("healthChecks").and_then(Value::as_array);
    let read = |check: &Value| {
        let text = |field: &str| check[field].as_str().unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |it| it.0);
        let namespace = check["namespace"].as_str().unwrap_or(&it.metadata.namespace);
        ObjectKey::new(group, text("kind"), namespace, text("name"))
    };
    listed.into_iter().flatten().map(read).collect()
}

fn reason(error: &BuildError) -> &'static str {
    match error {
        BuildError::Unsupported { .. } => "Unsupported",
        _ => "BuildFailed",
    }
}

/// The Kustomizations that an object belonged to, or belongs to.
fn owners(change: &Changed) -> Vec<ObjectKey> {
    // Most objects are nobody's: that is seen without reading them.
    let marked = |it: &&Object| contains(&it.bytes, decide::OWNER_NAME.as_bytes());
    let objects = [change.object.as_ref(), change.previous.as_ref()];
    let marked: Vec<&Object> = objects.into_iter().flatten().filter(marked).collect();
    if marked.is_empty() || !change.is_of_more_than_status() {
        return Vec::new();
    }
    let mut keys: Vec<ObjectKey> =
        marked.into_iter().filter_map(|it| apply::owner(&it.value())).collect();
    keys.dedup();
    keys
}

/// Whether what is rendered from a source may be another now: how its last fetch went is no matter.
fn is_another_source(change: &Changed) -> bool {
    let revision = |it: &Option<Object>| {
        let it = it.as_ref().map(Object::value)?;
        it.pointer("/status/artifact/revision").cloned()
    };
    revision(&change.object) != revision(&change.previous) || change.is_of_more_than_status()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|it| it == part)
}

impl Controller for KustomizationController {
    const NAME: &'static str = "kustomization";

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        if key.group == source::GROUP {
            if !is_another_source(change) {
                return Vec::new();
            }
            return self.all_where(|it| source_of(it) == *key);
        }
        if key.group != GROUP || key.kind != "Kustomization" {
            return owners(change);
        }
        if change.is_of_more_than_status() {
            let mut keys = self.all_where(|it| depends_on(it, key));
            keys.push(key.clone());
            return keys;
        }
        self.all_where(|it| depends_on(it, key))
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        let Some(owner) = self.hub.cache.value(key) else {
            lock(&self.waiting).remove(key);
            return Ok(None);
        };
        let Ok(it) = serde_json::from_value::<Kustomization>(owner.clone()) else {
            return Ok(None);
        };
        if it.metadata.deletion_timestamp.is_some() {
            self.finish(key, &it, &owner).await?;
            return Ok(None);
        }
        if it.spec.suspend {
            return Ok(None);
        }
        if it.spec.prune && !it.metadata.finalizers.iter().any(|it| it == FINALIZER) {
            self.set_finalizers(key, &owner, |all| all.push(FINALIZER.to_owned())).await?;
        }
        let attempt = self.attempt(key, &it, &owner).await?;
        let plan = decide(&it, &attempt, (self.hub.now)());
        if let Some(status) = plan.status {
            self.hub.replace_status(API_VERSION, key, &json!(status)).await?;
        }
        if attempt.used_approval {
            self.use_up_approval(key).await?;
        }
        if let Some((warning, reason, message)) = plan.said {
            self.hub.events.say(Event::about(&owner, warning, reason, message));
        }
        Ok(Some(again(&it.spec, &attempt.outcome)))
    }
}
