//! Runs an agent for every cluster that the hub dials, and keeps each Cluster's status.
//!
//! Reading order: [`decide`] holds the rules, this file does the reading and
//! writing around them.

mod decide;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kogge_api::{LocalReference, fleet::Cluster};
use kogge_member::{Credentials, Error, ObjectKey};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::decide::{Effect, Missing, Observed, Plan, decide};
use crate::{
    cache::Changed,
    context::Shared,
    link::ClusterLink,
    reports::Reports,
    runner::{Again, Controller},
};

pub(crate) const GROUP: &str = "cluster.karmada.io";
pub(crate) const API_VERSION: &str = "cluster.karmada.io/v1alpha1";
const RESYNC: Duration = Duration::from_mins(5);

pub(crate) struct ClusterController {
    hub: Shared,
    reports: Reports,
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    credentials: Credentials,
    /// Dropped to stop the agent.
    _stop: watch::Sender<()>,
}

impl ClusterController {
    pub fn new(hub: Shared, reports: Reports) -> Self {
        Self { hub, reports, running: Mutex::default() }
    }

    fn observe(&self, key: &ObjectKey) -> Observed {
        let object = self.hub.cache.value(key);
        let cluster: Option<Cluster> = object.and_then(|it| serde_json::from_value(it).ok());
        let credentials = match &cluster {
            Some(cluster) => self.credentials(cluster),
            None => Err(Missing { reason: "Deleted", message: String::new() }),
        };
        let running = self.running.lock().expect("no holder panics");
        Observed {
            now: (self.hub.now)(),
            cluster,
            credentials,
            running: running.get(&key.name).map(|it| it.credentials.clone()),
            state: self.reports.cluster(&key.name),
            held: self.reports.held(&key.name),
        }
    }

    /// From the Secret that the Cluster names.
    fn credentials(&self, cluster: &Cluster) -> Result<Credentials, Missing> {
        let name = &cluster.metadata.name;
        let missing = |what: String| Missing {
            reason: "NoCredentials",
            message: format!("{what}; run: kogge join {name} --cluster-kubeconfig FILE"),
        };
        let Some(reference) = &cluster.spec.secret_ref else {
            return Err(missing("the cluster has no spec.secretRef".into()));
        };
        let key = secret_key(reference);
        let Some(secret) = self.hub.cache.value(&key) else {
            let place = format!("{}/{}", key.namespace, key.name);
            return Err(missing(format!("Secret {place} is not there")));
        };
        let Some(token) = data(&secret, "token") else {
            return Err(missing(format!("Secret {} holds no token", reference.name)));
        };
        Ok(Credentials {
            server: cluster.spec.api_endpoint.clone(),
            ca: data(&secret, "caBundle"),
            token: String::from_utf8_lossy(&token).trim().to_owned(),
            insecure_skip_tls_verification: cluster.spec.insecure_skip_tls_verification,
        })
    }

    async fn apply(&self, key: &ObjectKey, plan: Plan) -> Result<(), Error> {
        for effect in plan.effects {
            match effect {
                Effect::StopAgent => {
                    self.running.lock().expect("no holder panics").remove(&key.name);
                    self.reports.forget_cluster(&key.name);
                }
                Effect::StartAgent(credentials) => self.start(&key.name, credentials).await,
                Effect::SetStatus(status) => {
                    let status = json!(status);
                    self.hub.patch_status(API_VERSION, key, &status).await?;
                }
            }
        }
        Ok(())
    }

    async fn start(&self, cluster: &str, credentials: Credentials) {
        let client = match kogge_member::from_token(&credentials).await {
            Ok(client) => client,
            Err(error) => {
                self.reports.unusable(cluster, "NoClient", error.to_string());
                return;
            }
        };
        let (stop, stopped) = watch::channel(());
        let link = ClusterLink::new(cluster, self.hub.works.clone(), self.reports.clone());
        let config = kogge_agent::Config {
            cluster: cluster.to_owned(),
            client,
            link: Arc::new(link),
            now: self.hub.now,
        };
        tokio::spawn(kogge_agent::run(config, stopped));
        tracing::info!(cluster, server = credentials.server, "agent started");
        let running = Running { credentials, _stop: stop };
        self.running.lock().expect("no holder panics").insert(cluster.to_owned(), running);
    }

    /// A person agrees to held deletions with an annotation, which is used up by that.
    async fn approve(&self, key: &ObjectKey) -> Result<(), Error> {
        let Some(object) = self.hub.cache.value(key) else { return Ok(()) };
        let said = kogge_member::object::annotation(&object, decide::APPROVE_DELETIONS);
        if said == Some("true") {
            self.hub.works.approve_deletions(&key.name);
            self.reports.release(&key.name);
            let resource = self.hub.resource(API_VERSION, "Cluster").await?;
            let gone = json!({"metadata": {"annotations": {decide::APPROVE_DELETIONS: null}}});
            self.hub.client.merge(&resource, "", &key.name, None, &gone).await?;
        }
        Ok(())
    }
}

/// The Secret that is referred to, in the hub's own namespace unless it says otherwise.
pub(crate) fn secret_key(reference: &LocalReference) -> ObjectKey {
    let namespace = reference.namespace.as_deref().unwrap_or(kogge_agent::SYSTEM_NAMESPACE);
    ObjectKey::new("", "Secret", namespace, &reference.name)
}

/// A value of a Secret, decoded.
pub(crate) fn data(secret: &Value, key: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.get("data")?.get(key)?.as_str()?).ok()
}

impl Controller for ClusterController {
    const NAME: &'static str = "cluster";

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        if key.group == GROUP && key.kind == "Cluster" {
            return vec![key.clone()];
        }
        if !key.group.is_empty() || key.kind != "Secret" {
            return Vec::new();
        }
        let named = |cluster: &Value| {
            let reference = cluster.pointer("/spec/secretRef").cloned();
            let reference = reference.and_then(|it| serde_json::from_value(it).ok());
            reference.is_some_and(|it| secret_key(&it) == *key)
        };
        let clusters = self.hub.cache.values(GROUP, "Cluster");
        clusters.iter().filter(|it| named(it)).map(ObjectKey::of).collect()
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        self.approve(key).await?;
        let plan = decide(&self.observe(key));
        self.apply(key, plan).await?;
        Ok(Some(RESYNC))
    }
}
