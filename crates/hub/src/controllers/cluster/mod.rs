//! Runs an agent for every cluster that the hub dials, and keeps each Cluster's status.
//!
//! Reading order: [`decide`] holds the rules, this file does the reading and
//! writing around them.

mod credentials;
mod decide;
mod recovery;
mod route;
mod silence;
mod token;
mod twins;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_api::fleet::Cluster;
use kogge_member::{Client, DeleteOptions, Error, ObjectKey, Resource, object};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::credentials::member_client;
pub(crate) use self::credentials::{Access, access, data, secret_key};
pub(crate) use self::decide::DUPLICATE;
use self::{
    credentials::Missing,
    decide::{APPROVE_DELETIONS, Effect, Observed, Plan, decide},
    silence::look_again,
    token::Renewal,
    twins::Twins,
};
use crate::{
    cache::{Changed, Object},
    context::Shared,
    events::Event,
    link::ClusterLink,
    lock::lock,
    pull::adopt::{self, ADOPTED},
    reports::Reports,
    roll::Standing,
    runner::{Again, Controller},
};

pub(crate) const GROUP: &str = "cluster.karmada.io";
pub(crate) const API_VERSION: &str = "cluster.karmada.io/v1alpha1";

/// A member that does not answer must not hold up the rest.
const PATIENCE: Duration = Duration::from_secs(10);

const RESYNC: Duration = Duration::from_mins(5);

pub(crate) struct ClusterController {
    hub: Shared,
    reports: Reports,
    running: Mutex<BTreeMap<String, Running>>,
    twins: Mutex<Twins>,
    /// Clusters that were deleted, as they were, until that is seen to.
    deleted: Mutex<BTreeMap<String, Value>>,
    since: Timestamp,
}

struct Running {
    access: Access,
    client: Client,
    /// Dropped to stop the agent.
    _stop: watch::Sender<()>,
}

impl ClusterController {
    pub fn new(hub: Shared, reports: Reports) -> Self {
        let since = (hub.now)();
        Self {
            hub,
            reports,
            since,
            running: Mutex::default(),
            twins: Mutex::default(),
            deleted: Mutex::default(),
        }
    }

    fn observe(&self, key: &ObjectKey) -> Observed {
        let object = self.hub.cache.value(key);
        let given_back = object.as_ref().is_some_and(adopt::is_given_back);
        let cluster: Option<Cluster> = object.and_then(|it| serde_json::from_value(it).ok());
        let access = match &cluster {
            Some(cluster) => access(cluster, |it| self.hub.cache.value(it)),
            None => Err(Missing { reason: "Deleted", message: String::new() }),
        };
        let deleted = lock(&self.deleted).get(&key.name).cloned();
        let running = lock(&self.running);
        Observed {
            now: (self.hub.now)(),
            deleted: deleted.and_then(|it| serde_json::from_value(it).ok()),
            twin: lock(&self.twins).first_of(&key.name),
            cluster,
            access,
            running: running.get(&key.name).map(|it| it.access.clone()),
            state: self.reports.cluster(&key.name),
            held: self.reports.held(&key.name),
            heard: self.reports.last_heard(&key.name),
            carrier: self.reports.carrier(&key.name),
            since: self.since,
            recovering: self.hub.recovery.get().map(|it| it.message()),
            was_removed: self.hub.roll.standing(&key.name, (self.hub.now)()) == Standing::Left,
            given_back,
        }
    }

    async fn apply(&self, key: &ObjectKey, plan: Plan) -> Result<(), Error> {
        for effect in plan.effects {
            match effect {
                Effect::StopAgent => {
                    lock(&self.running).remove(&key.name);
                    self.reports.forget_cluster(&key.name);
                }
                Effect::Forget => self.reports.forget_cluster(&key.name),
                Effect::StartAgent(access) => self.start(key, access).await?,
                Effect::ApproveDeletions => {
                    self.hub.works.approve_deletions(&key.name);
                    self.reports.release(&key.name);
                }
                Effect::UseUpApproval => {
                    let none = json!({"metadata": {"annotations": {APPROVE_DELETIONS: null}}});
                    self.patch(key, &none).await?;
                }
                Effect::EndAdoption => {
                    self.patch(key, &json!({"metadata": {"annotations": {ADOPTED: null}}})).await?;
                }
                Effect::LetGo(uid) => self.let_go(key, uid).await?,
                Effect::SetId(id) => self.set_id(key, &id).await?,
                Effect::RemoveSecret(secret) => self.remove_secret(&secret).await?,
                Effect::Say { warning, reason, message } => {
                    let object = self.hub.cache.value(key);
                    let object = object.or_else(|| lock(&self.deleted).get(&key.name).cloned());
                    if let Some(object) = object {
                        self.hub.events.say(Event::about(&object, warning, reason, message));
                    }
                }
                Effect::RenewConnections => {
                    let running = lock(&self.running);
                    if let Some(it) = running.get(&key.name) {
                        it.client.renew();
                    }
                }
                Effect::SetStatus(status) => {
                    let status = json!(status);
                    self.hub.patch_status(API_VERSION, key, &status).await?;
                }
            }
        }
        lock(&self.deleted).remove(&key.name);
        Ok(())
    }

    async fn start(&self, key: &ObjectKey, access: Access) -> Result<(), Error> {
        let cluster = key.name.as_str();
        let client = match access.connect().await {
            Ok(client) => client,
            Err(error) => {
                self.reports.unusable(cluster, "NoClient", error.to_string());
                return Ok(());
            }
        };
        if self.identify(key, &client).await? {
            // What was written leads here again.
            return Ok(());
        }
        let (stop, stopped) = watch::channel(());
        let link = ClusterLink::new(cluster, self.hub.works.clone(), self.reports.clone());
        let config = kogge_agent::Config {
            cluster: cluster.to_owned(),
            client: client.clone(),
            link: Arc::new(link),
            now: self.hub.now,
        };
        tokio::spawn(kogge_agent::run(config, stopped));
        tracing::info!(cluster, server = access.server(), "agent started");
        let running = Running { access, client, _stop: stop };
        lock(&self.running).insert(cluster.to_owned(), running);
        Ok(())
    }

    /// Writes which cluster this is, where nobody said so, before an agent touches it: it may be
    /// one that has joined by another name. Says whether it did.
    async fn identify(&self, key: &ObjectKey, client: &Client) -> Result<bool, Error> {
        let object = self.hub.cache.value(key).unwrap_or_default();
        if !object::text(&object, "/spec/id").is_empty() {
            return Ok(false);
        }
        let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
        let asked = client.get(&namespaces, "", "kube-system");
        // One that does not answer is not touched either; its agent says why.
        let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, asked).await else { return Ok(false) };
        self.set_id(key, object::uid(&found)).await?;
        Ok(true)
    }

    async fn set_id(&self, key: &ObjectKey, id: &str) -> Result<(), Error> {
        self.patch(key, &json!({"spec": {"id": id}})).await
    }

    async fn patch(&self, key: &ObjectKey, patch: &Value) -> Result<(), Error> {
        let resource = self.hub.resource(API_VERSION, "Cluster").await?;
        self.hub.client.merge(&resource, "", &key.name, None, patch).await.map(|_| ())
    }

    /// What was taken back, and is no member: its agent is told that it has left.
    async fn let_go(&self, key: &ObjectKey, uid: String) -> Result<(), Error> {
        let resource = self.hub.resource(API_VERSION, "Cluster").await?;
        let options = DeleteOptions { uid: Some(uid), ..DeleteOptions::default() };
        match self.hub.client.delete(&resource, "", &key.name, &options).await {
            // It went away, or is another one by now.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                tracing::warn!(cluster = key.name, "it was adopted, and the fleet had removed it");
                Ok(())
            }
        }
    }

    async fn remove_secret(&self, key: &ObjectKey) -> Result<(), Error> {
        let secrets = Resource::new("", "v1", "Secret", "secrets", true);
        let options = DeleteOptions::default();
        match self.hub.client.delete(&secrets, &key.namespace, &key.name, &options).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }
}

/// The Secret that holds a cluster's token, and the renewal that is due.
struct Due {
    secret: ObjectKey,
    access: Access,
    renewal: Renewal,
}

impl ClusterController {
    fn due(&self, key: &ObjectKey) -> Option<Due> {
        let cluster: Cluster = serde_json::from_value(self.hub.cache.value(key)?).ok()?;
        let access = access(&cluster, |it| self.hub.cache.value(it)).ok()?;
        let Access::Token(credentials) = &access else { return None };
        let renewal = Renewal::of(&credentials.token)?;
        let secret = secret_key(cluster.spec.secret_ref.as_ref()?);
        (renewal.due <= (self.hub.now)()).then_some(Due { secret, access, renewal })
    }

    /// Asks the member for a new token with the present one; the agent starts anew with it.
    async fn renew(&self, key: &ObjectKey) {
        let Some(Due { secret, access, renewal }) = self.due(key) else { return };
        let renewed = self.renew_with(&secret, &access, &renewal);
        let renewed = tokio::time::timeout(PATIENCE, renewed).await;
        if let Err(error) = renewed.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            let cluster = key.name.as_str();
            tracing::warn!(cluster, error, "the member's token could not be renewed");
        }
    }

    async fn renew_with(
        &self,
        secret: &ObjectKey,
        access: &Access,
        renewal: &Renewal,
    ) -> Result<(), String> {
        let member = access.connect().await.map_err(|it| it.to_string())?;
        let accounts = Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true);
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": renewal.life.as_secs()}});
        let (namespace, account) = (&renewal.namespace, &renewal.account);
        let asked = member.post(&accounts, namespace, account, "token", &request).await;
        let answer = asked.map_err(|it| it.chain())?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        let token = token.ok_or("the member answered without a token")?;
        let secrets = Resource::new("", "v1", "Secret", "secrets", true);
        let patch = json!({"data": {"token": STANDARD.encode(token)}});
        let written =
            self.hub.client.merge(&secrets, &secret.namespace, &secret.name, None, &patch);
        written.await.map(|_| ()).map_err(|it| it.chain())
    }
}

impl ClusterController {
    /// Keeps in mind which cluster it is, or what it was; returns whom that concerns.
    fn file(&self, change: &Changed) -> Vec<ObjectKey> {
        let name = &change.key.name;
        let object = change.object.as_ref().map(Object::value);
        if let (None, Some(previous)) = (&object, &change.previous) {
            lock(&self.deleted).insert(name.clone(), previous.value());
        }
        let cluster = object.and_then(|it| serde_json::from_value(it).ok());
        let others = lock(&self.twins).set(name, cluster.as_ref());
        let others = others.iter().map(|it| ObjectKey::new(GROUP, "Cluster", "", it));
        others.chain([change.key.clone()]).collect()
    }
}

impl Controller for ClusterController {
    const NAME: &'static str = "cluster";

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        if key.group == GROUP && key.kind == "Cluster" {
            return self.file(change);
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
        self.renew(key).await;
        let seen = self.observe(key);
        self.apply(key, decide(&seen)).await?;
        Ok(Some(look_again(&seen).unwrap_or(RESYNC)))
    }
}
