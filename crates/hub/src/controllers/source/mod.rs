//! Fetches each GitRepository at its interval, and says in its status which revision there is.
//!
//! Reading order: [`decide`] holds the rules, this file fetches and writes around it.

mod decide;

use std::{collections::BTreeMap, time::Duration};

use kogge_api::{
    flux::{GitRepository, GitRepositorySpec},
    parse_duration,
};
use kogge_git::{Credentials, FetchError, Reference, Remote, Repository, Revision};
use kogge_member::{Error, ObjectKey};
use serde_json::json;

pub(crate) use self::decide::REQUESTED_AT;
use self::decide::{Failure, Fetched, again, decide, failure, unsupported};
use crate::{
    cache::Changed,
    context::Shared,
    controllers::cluster,
    events::Event,
    git::Git,
    runner::{Again, Controller},
};

pub(crate) const GROUP: &str = "source.toolkit.fluxcd.io";
pub(crate) const API_VERSION: &str = "source.toolkit.fluxcd.io/v1";

pub(crate) struct SourceController {
    hub: Shared,
    git: Git,
}

impl SourceController {
    pub fn new(hub: Shared, git: Git) -> Self {
        Self { hub, git }
    }

    async fn fetch(&self, key: &ObjectKey, it: &GitRepository) -> Result<Fetched, Failure> {
        let spec = &it.spec;
        if let Some(failure) = unsupported(spec) {
            return Err(failure);
        }
        let mut remote = Remote::new(spec.url.clone());
        remote.credentials = self.credentials(key, spec)?;
        if let Some(timeout) = spec.timeout.as_deref().and_then(parse_duration) {
            remote.timeout = timeout.max(Duration::from_secs(1));
        }
        let reference = reference(spec);
        let (git, key, known) = (self.git.clone(), key.clone(), it.status.artifact.clone());
        let fetched = tokio::task::spawn_blocking(move || {
            let repository = git.repository(&key, &remote.url)?;
            let revision = repository.fetch(&remote, &reference)?;
            let known = known.filter(|it| it.revision == revision.label && !it.digest.is_empty());
            let digest = known.map_or_else(|| digest(&repository, &revision), |it| it.digest);
            Ok(Fetched { revision, digest })
        });
        match fetched.await {
            Ok(fetched) => fetched.map_err(|it: FetchError| failure(&it)),
            Err(error) => Err(Failure { reason: "GitOperationFailed", message: error.to_string() }),
        }
    }

    /// From the Secret beside the GitRepository, by the keys that Flux documents.
    fn credentials(
        &self,
        key: &ObjectKey,
        spec: &GitRepositorySpec,
    ) -> Result<Credentials, Failure> {
        let Some(reference) = &spec.secret_ref else { return Ok(Credentials::default()) };
        let secret = ObjectKey::new("", "Secret", &key.namespace, &reference.name);
        let Some(secret) = self.hub.cache.value(&secret) else {
            let message = format!("Secret {}/{} is not there", key.namespace, reference.name);
            return Err(Failure { reason: "AuthenticationFailed", message });
        };
        let fields = secret["data"].as_object().into_iter().flatten();
        let data: BTreeMap<String, Vec<u8>> = fields
            .filter_map(|(name, _)| Some((name.clone(), cluster::data(&secret, name)?)))
            .collect();
        Credentials::from_secret(&data).map_err(|it| failure(&it))
    }
}

fn digest(repository: &Repository, revision: &Revision) -> String {
    let Ok(tree) = repository.tree(&revision.commit, "") else { return String::new() };
    // What follows a plus sign is what symlinks lead to, and that is in the tree already.
    let hash = tree.hash();
    format!("sha1:{}", hash.split('+').next().unwrap_or_default())
}

fn reference(spec: &GitRepositorySpec) -> Reference {
    let given = spec.reference.clone().unwrap_or_default();
    Reference {
        branch: given.branch,
        tag: given.tag,
        semver: given.semver,
        name: given.name,
        commit: given.commit,
    }
}

impl Controller for SourceController {
    const NAME: &'static str = "source";

    fn concerns(&self, change: &Changed) -> Vec<ObjectKey> {
        let key = &change.key;
        if key.group == GROUP && key.kind == "GitRepository" {
            return if change.is_of_more_than_status() { vec![key.clone()] } else { Vec::new() };
        }
        if !key.group.is_empty() || key.kind != "Secret" {
            return Vec::new();
        }
        let all = self.hub.cache.all(GROUP, "GitRepository").into_iter();
        let beside = all.filter(|(it, _)| it.namespace == key.namespace);
        let names = |it: &crate::cache::Object| {
            it.value().pointer("/spec/secretRef/name").is_some_and(|it| *it == key.name.as_str())
        };
        beside.filter(|(_, it)| names(it)).map(|(key, _)| key).collect()
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Again, Error> {
        let Some(object) = self.hub.cache.value(key) else {
            self.git.forget(key);
            return Ok(None);
        };
        let Ok(repository) = serde_json::from_value::<GitRepository>(object.clone()) else {
            return Ok(None);
        };
        if repository.spec.suspend || repository.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let fetched = self.fetch(key, &repository).await;
        let plan = decide(&repository, &fetched, (self.hub.now)());
        if let Some(status) = plan.status {
            self.hub.replace_status(API_VERSION, key, &json!(status)).await?;
        }
        if let Some((warning, reason, message)) = plan.said {
            self.hub.events.say(Event::about(&object, warning, reason, message));
        }
        Ok(Some(again(&repository.spec, fetched.is_err())))
    }
}
