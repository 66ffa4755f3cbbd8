//! Makes each template's claims from its binding.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use kogge_agent::link::{Mode, Work};
use kogge_api::work::{BindingSpec, ResourceBinding};
use kogge_member::ObjectKey;
use serde_json::Value;

use super::{Claims, Works, render};
use crate::{
    bindings,
    cache::{Cache, Changed},
    runner::{Again, Controller},
};

pub(crate) struct WorksController {
    cache: Cache,
    works: Works,
    /// Dependency -> the templates that name it.
    dependents: Mutex<BTreeMap<ObjectKey, BTreeSet<ObjectKey>>>,
}

impl WorksController {
    pub fn new(cache: Cache, works: Works) -> Self {
        Self { cache, works, dependents: Mutex::default() }
    }

    fn claims(&self, template: &Value, binding: &BindingSpec) -> Claims {
        let mode =
            if binding.conflict_resolution == "Overwrite" { Mode::Overwrite } else { Mode::Abort };
        let beside = self.needed_beside(template, binding.propagate_deps);
        // Clusters with the same number of replicas share one work.
        let mut rendered: BTreeMap<Option<u32>, Arc<Work>> = BTreeMap::new();
        let mut claims = Claims::new();
        for target in &binding.clusters {
            let divided = target.replicas.filter(|_| bindings::is_divided(binding));
            let own = rendered
                .entry(divided)
                .or_insert_with(|| render::render(template, divided, mode))
                .clone();
            let works = claims.entry(target.name.clone()).or_default();
            works.extend(beside.iter().cloned());
            works.push(own);
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
        let owner = ObjectKey::of(template);
        let named = if with_dependencies { bindings::dependencies(template) } else { Vec::new() };
        let mut dependents = self.dependents.lock().expect("no holder panics");
        dependents.retain(|_, templates| {
            templates.remove(&owner);
            !templates.is_empty()
        });
        for key in named {
            if let Some(found) = self.cache.value(&key) {
                works.push(render::render(&found, None, Mode::Abort));
            }
            dependents.entry(key).or_default().insert(owner.clone());
        }
        works
    }
}

impl Controller for WorksController {
    const NAME: &'static str = "works";

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        if bindings::is_binding(&change.key) {
            let of = |object: &crate::cache::Object| bindings::template_of(&object.value());
            let objects = [change.object.as_ref(), change.previous.as_ref()];
            return objects.into_iter().flatten().filter_map(of).collect();
        }
        if !bindings::may_be_template(&change.key) {
            return Vec::new();
        }
        let dependents = self.dependents.lock().expect("no holder panics");
        let mut keys: Vec<ObjectKey> =
            dependents.get(&change.key).into_iter().flatten().cloned().collect();
        keys.push(change.key.clone());
        keys
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, kogge_member::Error> {
        let template = self.cache.value(key);
        let binding = self.cache.value(&bindings::key_for(key));
        let claims = match (&template, binding) {
            (Some(template), Some(binding)) => {
                let binding: ResourceBinding = serde_json::from_value(binding).unwrap_or_default();
                self.claims(template, &binding.spec)
            }
            _ => Claims::new(),
        };
        // A template that is being deleted waits for its finalizers on the hub only.
        self.works.set(key, &claims, template.is_none());
        Ok(None)
    }
}
