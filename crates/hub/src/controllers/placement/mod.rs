//! Decides for every template which clusters run it, and stores that as its binding.
//!
//! The rules are the planner's (`kogge-placement`); [`decide`] turns its decision
//! into what has to be written, this file reads and writes around it.

mod binding;
mod decide;

use kogge_member::{Error, ObjectKey};
use kogge_placement::Cluster;
use serde_json::json;

use self::decide::{Effect, decide};
pub(crate) use self::decide::{Observed, could_leave};
use crate::{
    bindings,
    cache::Changed,
    context::Shared,
    controllers::cluster,
    decisions::Decisions,
    events::Event,
    policies::{self, Policies},
    reports::Reports,
    room,
    runner::{Again, Controller},
};

const BINDING_VERSION: &str = "work.karmada.io/v1alpha2";

pub(crate) struct PlacementController {
    hub: Shared,
    policies: Policies,
    reports: Reports,
    decisions: Decisions,
}

impl PlacementController {
    pub fn new(hub: Shared, policies: Policies, reports: Reports, decisions: Decisions) -> Self {
        Self { hub, policies, reports, decisions }
    }

    async fn apply(&self, key: &ObjectKey, seen: &Observed, effect: Effect) -> Result<(), Error> {
        let binding_key = bindings::key_for(key);
        let resource = self.hub.resource(BINDING_VERSION, &binding_key.kind).await?;
        match effect {
            Effect::CreateBinding { annotations, spec } => {
                let mut object = json!({
                    "apiVersion": BINDING_VERSION, "kind": binding_key.kind,
                    "metadata": {"name": binding_key.name, "annotations": annotations},
                    "spec": spec,
                });
                if !binding_key.namespace.is_empty() {
                    object["metadata"]["namespace"] = binding_key.namespace.into();
                }
                self.hub.client.create(&resource, &object).await?;
            }
            Effect::UpdateBinding { annotations, spec } => {
                let mut object = seen.binding.clone().unwrap_or_default();
                object["metadata"]["annotations"] = json!(annotations);
                object["spec"] = spec;
                self.hub.client.update(&resource, &object).await?;
            }
            Effect::DeleteBinding => {
                let (namespace, name) = (&binding_key.namespace, &binding_key.name);
                let options = kogge_member::DeleteOptions::default();
                match self.hub.client.delete(&resource, namespace, name, &options).await {
                    Err(error) if error.is_not_found() => {}
                    other => other?,
                }
            }
            Effect::Say { warning, reason, message } => {
                if let Some(template) = &seen.template {
                    self.hub.events.say(Event::about(template, warning, reason, message));
                }
            }
            Effect::SayMoved { from, message } => {
                let cluster = ObjectKey::new(cluster::GROUP, "Cluster", "", &from);
                let about = format!("{key}: {message}");
                let told =
                    [(seen.template.clone(), message), (self.hub.cache.value(&cluster), about)];
                for (object, message) in told {
                    if let Some(object) = object {
                        let event = Event::about(&object, true, "FailedOver", message);
                        self.hub.events.tell(event).await;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Reads what a decision about a template may know.
pub(crate) fn observe(
    hub: &Shared,
    policies: &Policies,
    reports: &Reports,
    key: &ObjectKey,
) -> Observed {
    let template = hub.cache.value(key);
    let policy = template.as_ref().and_then(|it| policies.select(it));
    let requirements = template.as_ref().map(room::requirements).unwrap_or_default();
    let clusters = policies.clusters();
    let room = |it: &Cluster| room::replicas(reports.rooms(&it.name).as_deref(), &requirements);
    let rooms = clusters.iter().map(|it| (it.name.clone(), room(it))).collect();
    let binding = hub.cache.value(&bindings::key_for(key));
    Observed { template, policy, clusters, rooms, binding }
}

impl Controller for PlacementController {
    const NAME: &'static str = "placement";
    const DECIDES: bool = true;
    const AT_ONCE: usize = 64;

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        if change.is_status_only() {
            return Vec::new();
        }
        if bindings::is_binding(&change.key) {
            return change.templates().to_vec();
        }
        if bindings::may_be_template(&change.key) { vec![change.key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        let seen = observe(&self.hub, &self.policies, &self.reports, key);
        let plan = decide(&seen);
        let is_news = self.decisions.set(key, plan.decision.as_ref());
        for effect in plan.effects {
            // The same words are not said again.
            if is_news || !matches!(effect, Effect::Say { .. }) {
                self.apply(key, &seen, effect).await?;
            }
        }
        if is_news {
            self.reports.decided(key);
        }
        Ok(None)
    }
}

/// All templates: what a change of a policy or a cluster may concern.
pub(crate) fn all_templates(hub: &Shared) -> Vec<ObjectKey> {
    let may_be = |id: &(String, String)| {
        bindings::may_be_template(&ObjectKey::new(&id.0, &id.1, "any", "any"))
    };
    let keys = hub.cache.keys(may_be);
    keys.into_iter().filter(bindings::may_be_template).collect()
}

/// The labels of a template, for those who select by them.
pub(super) use policies::labels;
