//! Brings what clusters report back to the template and its binding.
//!
//! Reading order: [`decide`] puts the two statuses together, `pace` says how often,
//! this file reads and writes around them. Reports come in bursts, so each template is
//! written at most once a second, later and less often while many have news, and not at all
//! when nothing has changed.

mod decide;
mod pace;

use std::{sync::Mutex, time::Duration};

use kogge_api::work::ResourceBinding;
use kogge_member::{Error, ObjectKey};
use serde_json::json;
use tokio::time::Instant;

use self::{
    decide::{Observed, Target, decide},
    pace::Pace,
};
use crate::{
    bindings,
    cache::Changed,
    context::Shared,
    decisions::Decisions,
    lock::lock,
    moves::Moves,
    reports::Reports,
    runner::{Again, Controller},
};

const BINDING_VERSION: &str = "work.karmada.io/v1alpha2";

pub(crate) struct StatusController {
    hub: Shared,
    reports: Reports,
    decisions: Decisions,
    moves: Moves,
    pace: Mutex<Pace>,
}

impl StatusController {
    pub fn new(hub: Shared, reports: Reports, decisions: Decisions, moves: Moves) -> Self {
        Self { hub, reports, decisions, moves, pace: Mutex::default() }
    }

    fn observe(&self, template: &ObjectKey) -> Option<Observed> {
        let object = self.hub.cache.value(template)?;
        let binding = self.hub.cache.value(&bindings::key_for(template));
        let binding: Option<ResourceBinding> =
            binding.and_then(|it| serde_json::from_value(it).ok());
        let mut reports = self.reports.object(template);
        let targets = binding.iter().flat_map(|it| &it.spec.clusters);
        let targets = targets.map(|it| Target {
            cluster: it.name.clone(),
            replicas: it.replicas,
            wanted: self.hub.works.hash(&it.name, template),
            ready: self.reports.ready(&it.name),
            report: reports.remove(&it.name).unwrap_or_default(),
        });
        Some(Observed {
            now: (self.hub.now)(),
            targets: targets.collect(),
            decision: self.decisions.get(template),
            moves: self.moves.get(template),
            template: object,
            binding,
        })
    }
}

impl Controller for StatusController {
    const NAME: &'static str = "status";
    const DECIDES: bool = true;
    // What several members report of one template comes nearly together.
    const GATHER: Duration = Duration::from_millis(100);

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        if bindings::is_binding(&change.key) {
            return change.templates().to_vec();
        }
        // Written by somebody else: put right again.
        let is_template = bindings::may_be_template(&change.key)
            && kogge_sync::status::is_aggregated(&change.key.group, &change.key.kind);
        if is_template && change.object.is_some() { vec![change.key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        if let Some(wait) = lock(&self.pace).wait(key, Instant::now()) {
            return Ok(Some(wait));
        }
        let Some(seen) = self.observe(key) else {
            lock(&self.pace).forget(key);
            return Ok(None);
        };
        let plan = decide(&seen);
        if plan.template.is_some() || plan.binding.is_some() {
            lock(&self.pace).note(key, Instant::now());
        }
        if let Some(status) = plan.template {
            let api_version = kogge_member::object::text(&seen.template, "/apiVersion");
            self.hub.replace_status(api_version, key, &status).await?;
        }
        if let Some(status) = plan.binding {
            let binding = bindings::key_for(key);
            self.hub.replace_status(BINDING_VERSION, &binding, &json!(status)).await?;
        }
        Ok(None)
    }
}
