//! Gives agents their certificates, and makes a cluster a member that shows a good token.
//!
//! Reading order: [`decide`] holds the rules, this file does the reading and writing around them.

mod decide;
#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kogge_api::fleet::Cluster;
use kogge_apiserver::pki::Holder;
use kogge_member::{DeleteOptions, Error, ObjectKey, Resource, object};
use serde_json::{Value, json};

use self::decide::{Effect, Observed, Request, decide};
use super::cluster;
use crate::{
    cache::{Changed, Object},
    context::Shared,
    pull::{Agents, Bootstrap, SIGNER, TOKEN_TYPE, USED_BY},
    runner::{Again, Controller},
};

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "CertificateSigningRequest";

/// Answered requests and old tokens are taken away some time later.
const LOOK_AGAIN: Duration = Duration::from_mins(10);

pub(crate) struct SigningController {
    hub: Shared,
    agents: Agents,
}

impl SigningController {
    pub fn new(hub: Shared, agents: Agents) -> Self {
        Self { hub, agents }
    }

    fn observe(&self, request: Request) -> Observed {
        let token = Bootstrap::id_of_user(&request.username);
        let token = token.and_then(|it| self.hub.cache.value(&Bootstrap::key(it)));
        let clusters = self.hub.cache.values(cluster::GROUP, "Cluster");
        let clusters = clusters.into_iter().filter_map(|it| serde_json::from_value(it).ok());
        let clusters: Vec<Cluster> = clusters.collect();
        let (name, id) = (&request.introduction.name, &request.introduction.id);
        Observed {
            now: (self.hub.now)(),
            hub: self.hub.works.hub().to_owned(),
            token: token.as_ref().and_then(Bootstrap::of),
            cluster: clusters.iter().find(|it| it.metadata.name == *name).cloned(),
            twin: clusters
                .iter()
                .find(|it| it.spec.id == *id && it.metadata.name != *name)
                .map(|it| it.metadata.name.clone()),
            request,
        }
    }

    async fn apply(&self, key: &ObjectKey, request: &Value, effect: Effect) -> Result<(), Error> {
        match effect {
            Effect::UseToken(token) => {
                let mark = json!({"metadata": {
                    // Two requests with one token: the second finds another version, and is told.
                    "resourceVersion": token.resource_version,
                    "annotations": {USED_BY: key.name},
                }});
                let (client, secrets) = (&self.hub.client, secrets());
                let at = Bootstrap::key(&token.id);
                client.merge(&secrets, &at.namespace, &at.name, None, &mark).await.map(drop)
            }
            Effect::CreateCluster(cluster) => {
                let clusters = self.hub.resource(cluster::API_VERSION, "Cluster").await?;
                self.hub.client.create(&clusters, &cluster).await.map(drop)
            }
            Effect::AdoptCluster(patch) => {
                let clusters = self.hub.resource(cluster::API_VERSION, "Cluster").await?;
                let name = Request::of(request).introduction.name;
                self.hub.client.merge(&clusters, "", &name, None, &patch).await.map(drop)
            }
            Effect::Issue(holder) => self.issue(key, request, &holder).await,
            Effect::Deny(message) => self.answer(key, "Denied", "Refused", &message, None).await,
            Effect::Remove => {
                let options = DeleteOptions::default();
                match self.hub.client.delete(&requests(), "", &key.name, &options).await {
                    Err(error) if error.is_not_found() => Ok(()),
                    other => other,
                }
            }
        }
    }

    async fn issue(&self, key: &ObjectKey, request: &Value, holder: &Holder) -> Result<(), Error> {
        let encoded = STANDARD.decode(object::text(request, "/spec/request")).unwrap_or_default();
        let pem = String::from_utf8_lossy(&encoded);
        let now = (self.hub.now)();
        let Agents { authority, life } = &self.agents;
        match authority.certify(&pem, holder, now, *life) {
            Ok(certificate) => {
                let message = format!("{} is of this fleet", holder.dns_name);
                self.answer(key, "Approved", "OfTheFleet", &message, Some(&certificate)).await
            }
            Err(error) => {
                let message = format!("spec.request is no request that can be signed: {error}");
                self.answer(key, "Failed", "BadRequest", &message, None).await
            }
        }
    }

    async fn answer(
        &self,
        key: &ObjectKey,
        kind: &str,
        reason: &str,
        message: &str,
        certificate: Option<&str>,
    ) -> Result<(), Error> {
        let now = (self.hub.now)();
        let condition = json!({"type": kind, "status": "True", "reason": reason,
            "message": message, "lastUpdateTime": format!("{now:.0}"),
            "lastTransitionTime": format!("{now:.0}")});
        let mut status = json!({"conditions": [condition]});
        if let Some(pem) = certificate {
            status["certificate"] = STANDARD.encode(pem).into();
        }
        let patch = json!({ "status": status });
        self.hub.client.merge(&requests(), "", &key.name, Some("status"), &patch).await.map(drop)
    }

    /// A token that has expired is nobody's; it goes.
    async fn clean(&self, key: &ObjectKey) -> Result<Again, Error> {
        let secret = self.hub.cache.value(key);
        let Some(token) = secret.as_ref().and_then(Bootstrap::of) else { return Ok(None) };
        let now = (self.hub.now)();
        if let (false, Some(expires)) = (token.is_expired(now), token.expires) {
            let left = expires.duration_since(now).unsigned_abs();
            return Ok(Some(left.min(LOOK_AGAIN)));
        }
        if token.expires.is_none() {
            return Ok(None);
        }
        let options = DeleteOptions::default();
        match self.hub.client.delete(&secrets(), &key.namespace, &key.name, &options).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(None),
        }
    }
}

impl Controller for SigningController {
    const NAME: &'static str = "signing";
    // One cluster asks after the other, so that none gets in twice.
    const AT_ONCE: usize = 1;

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        let is_request = key.group == GROUP && key.kind == KIND;
        let is_secret = key.group.is_empty()
            && key.kind == "Secret"
            && key.namespace == kogge_agent::SYSTEM_NAMESPACE;
        let is_token = || {
            let object = change.object.as_ref().map(Object::value);
            object.is_some_and(|it| object::text(&it, "/type") == TOKEN_TYPE)
        };
        if is_request || (is_secret && is_token()) { vec![key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        if key.kind == "Secret" {
            return self.clean(key).await;
        }
        let Some(object) = self.hub.cache.value(key) else { return Ok(None) };
        if object::text(&object, "/spec/signerName") != SIGNER {
            return Ok(None);
        }
        for effect in decide(&self.observe(Request::of(&object))) {
            self.apply(key, &object, effect).await?;
        }
        Ok(Some(LOOK_AGAIN))
    }
}

fn secrets() -> Resource {
    Resource::new("", "v1", "Secret", "secrets", true)
}

fn requests() -> Resource {
    Resource::new(GROUP, "v1", KIND, "certificatesigningrequests", false)
}
