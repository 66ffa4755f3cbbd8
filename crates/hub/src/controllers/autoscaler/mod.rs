//! Tells each cluster's agent which ClusterAutoscalers cover it, and gathers what they report.
//!
//! The scaling itself is the agent's, so that it goes on while the hub is away.
//! Reading order: [`decide`] holds the rules, this file reads and writes around them.

mod decide;

use std::collections::BTreeMap;

use kogge_api::nodes::ClusterAutoscaler;
use kogge_member::{Error, ObjectKey};
use serde_json::json;

use self::decide::{Coverage, Observed, decide};
use crate::{
    cache::Changed,
    context::Shared,
    policies::Policies,
    reports::Reports,
    runner::{Again, Controller},
};

pub(crate) const GROUP: &str = "autoscaling";
pub(crate) const KIND: &str = "ClusterAutoscaler";
const API_VERSION: &str = "autoscaling/v1beta2";

pub(crate) struct AutoscalerController {
    hub: Shared,
    policies: Policies,
    reports: Reports,
}

impl AutoscalerController {
    pub fn new(hub: Shared, policies: Policies, reports: Reports) -> Self {
        Self { hub, policies, reports }
    }

    fn autoscalers(&self) -> Vec<ClusterAutoscaler> {
        let all = self.hub.cache.values(GROUP, KIND).into_iter();
        all.filter_map(|it| serde_json::from_value(it).ok()).collect()
    }

    /// Every cluster hears of all that cover it: each run makes the whole of it true.
    fn hand_out(&self, autoscalers: &[ClusterAutoscaler]) {
        let read = |it: &ClusterAutoscaler| {
            let coverage = Coverage::of(&it.spec).ok()?;
            Some((coverage, it.metadata.name.clone(), json!(it.spec)))
        };
        let all: Vec<_> = autoscalers.iter().filter_map(read).collect();
        for cluster in self.policies.clusters().iter() {
            let covering = all.iter().filter(|it| it.0.has(cluster));
            let specs: BTreeMap<_, _> =
                covering.map(|(_, name, spec)| (name.clone(), spec.clone())).collect();
            self.hub.works.set_autoscalers(&cluster.name, specs);
        }
    }
}

impl Controller for AutoscalerController {
    const NAME: &'static str = "autoscaler";
    const DECIDES: bool = true;
    const AT_ONCE: usize = 1;

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        if key.group == GROUP && key.kind == KIND {
            return vec![key.clone()];
        }
        if key.group == super::cluster::GROUP && key.kind == "Cluster" {
            return self.hub.cache.keys(|it| it.0 == GROUP && it.1 == KIND);
        }
        Vec::new()
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        let autoscalers = self.autoscalers();
        self.hand_out(&autoscalers);
        let Some(autoscaler) = autoscalers.into_iter().find(|it| it.metadata.name == key.name)
        else {
            return Ok(None);
        };
        let status = decide(&Observed {
            now: (self.hub.now)(),
            clusters: self.policies.clusters(),
            reports: self.reports.autoscaler(&key.name),
            autoscaler,
        });
        self.hub.replace_status(API_VERSION, key, &json!(status)).await?;
        Ok(None)
    }
}
