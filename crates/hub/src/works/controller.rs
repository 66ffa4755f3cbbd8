//! Makes each template's claims from its binding.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use kogge_agent::link::{Mode, Work};
use kogge_api::work::{BindingSpec, EvictionTask, ResourceBinding};
use kogge_member::ObjectKey;
use serde_json::Value;

use super::{Claims, Works, render};
use crate::{
    bindings,
    cache::{Cache, Changed},
    lock::lock,
    runner::{Again, Controller},
};

pub(crate) struct WorksController {
    cache: Cache,
    works: Works,
    dependencies: Mutex<Dependencies>,
}

/// What templates name, and who names it.
#[derive(Default)]
struct Dependencies {
    named: BTreeMap<ObjectKey, Vec<ObjectKey>>,
    dependents: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Dependencies {
    /// From now on a template names these.
    fn set(&mut self, template: &ObjectKey, named: Vec<ObjectKey>) {
        for key in self.named.remove(template).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&key) {
                dependents.remove(template);
                if dependents.is_empty() {
                    self.dependents.remove(&key);
                }
            }
        }
        for key in &named {
            self.dependents.entry(key.clone()).or_default().insert(template.clone());
        }
        if !named.is_empty() {
            self.named.insert(template.clone(), named);
        }
    }
}

impl WorksController {
    pub fn new(cache: Cache, works: Works) -> Self {
        Self { cache, works, dependencies: Mutex::default() }
    }

    pub(super) fn claims(&self, template: &Value, binding: &BindingSpec) -> Claims {
        let mode =
            if binding.conflict_resolution == "Overwrite" { Mode::Overwrite } else { Mode::Abort };
        let beside = self.needed_beside(template, binding.propagate_deps);
        // Clusters with the same number of replicas share one work.
        let mut rendered: BTreeMap<(Option<u32>, Labels), Arc<Work>> = BTreeMap::new();
        let mut claims = Claims::new();
        for target in &binding.clusters {
            let divided = target.replicas.filter(|_| bindings::is_divided(binding));
            let labels = kept_state(binding, &target.name);
            let own = rendered
                .entry((divided, labels.clone()))
                .or_insert_with(|| render::render_with(template, divided, mode, &labels))
                .clone();
            let works = claims.entry(target.name.clone()).or_default();
            works.extend(beside.iter().cloned());
            works.push(own);
        }
        // What was moved off a cluster that failed stays there until its new place is well; the
        // claims that its pods mounted stay longer, for what is on their volumes.
        for task in &binding.graceful_eviction_tasks {
            let from = &task.from_cluster;
            if binding.clusters.iter().any(|it| it.name == *from) {
                continue;
            }
            let mut works = beside.clone();
            if task.keeps_place() {
                let divided = task.replicas.filter(|_| bindings::is_divided(binding));
                works.push(render::render(template, divided, mode));
            } else {
                works.retain(|it| it.key.kind == "PersistentVolumeClaim");
            }
            claims.insert(from.clone(), works);
        }
        claims
    }

    /// The namespace, and what the template names if that comes along.
    fn needed_beside(&self, template: &Value, with_dependencies: bool) -> Vec<Arc<Work>> {
        let mut works = Vec::new();
        let namespace = kogge_member::object::namespace(template);
        if !namespace.is_empty() && namespace != "default" {
            works.push(render::namespace(namespace));
        }
        let named = if with_dependencies { bindings::dependencies(template) } else { Vec::new() };
        for key in &named {
            if let Some(found) = self.cache.value(key) {
                works.push(render::render(&found, None, Mode::Abort));
            }
        }
        let mut dependencies = lock(&self.dependencies);
        dependencies.set(&ObjectKey::of(template), named);
        works
    }
}

type Labels = BTreeMap<String, String>;

/// Labels with the state of a copy that failed, for a cluster that the template is new on.
fn kept_state(binding: &BindingSpec, cluster: &str) -> Labels {
    let tasks = binding.graceful_eviction_tasks.iter();
    let is_new = |it: &&EvictionTask| !it.clusters_before_failover.iter().any(|it| it == cluster);
    tasks.filter(is_new).flat_map(|it| it.preserved_label_state.clone()).collect()
}

/// The clusters that are left after they failed.
fn left(binding: &BindingSpec) -> BTreeSet<String> {
    binding.graceful_eviction_tasks.iter().map(|it| it.from_cluster.clone()).collect()
}

impl Controller for WorksController {
    const NAME: &'static str = "works";
    const DECIDES: bool = true;

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        if change.is_status_only() {
            return Vec::new();
        }
        if bindings::is_binding(&change.key) {
            return change.templates().to_vec();
        }
        if !bindings::may_be_template(&change.key) {
            return Vec::new();
        }
        let dependencies = lock(&self.dependencies);
        let dependents = dependencies.dependents.get(&change.key);
        let mut keys: Vec<ObjectKey> = dependents.into_iter().flatten().cloned().collect();
        keys.push(change.key.clone());
        keys
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, kogge_member::Error> {
        let template = self.cache.value(key);
        let binding = self.cache.value(&bindings::key_for(key));
        let claims = if let (Some(template), Some(binding)) = (&template, binding) {
            let binding: ResourceBinding = serde_json::from_value(binding).unwrap_or_default();
            self.works.set_left(key, left(&binding.spec));
            self.claims(template, &binding.spec)
        } else {
            let mut dependencies = lock(&self.dependencies);
            dependencies.set(key, Vec::new());
            self.works.set_left(key, BTreeSet::new());
            Claims::new()
        };
        // A template that is being deleted waits for its finalizers on the hub only.
        self.works.set(key, &claims, template.is_none());
        Ok(None)
    }
}
