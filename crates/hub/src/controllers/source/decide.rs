//! The rules. Pure: a GitRepository and what its fetch came to in, its status out.

use std::time::Duration;

use jiff::Timestamp;
use kogge_api::{
    Condition, find_condition,
    flux::{Artifact, GitRepository, GitRepositorySpec, GitRepositoryStatus},
    parse_duration, set_condition,
};
use kogge_git::{FetchError, Revision};

use crate::git::chain;

/// Soonest that a remote is asked again, whatever the interval says.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long a failure waits at most before it is tried again.
const RETRY: Duration = Duration::from_secs(15);

/// By which a person asks for a reconcile now, as `flux reconcile` does.
pub(crate) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Why nothing was fetched: a reason of Flux's, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub reason: &'static str,
    pub message: String,
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    pub revision: Revision,
    /// Of the commit's tree, as Git has it: `sha1:<hex>`. Empty where it is too large to be read.
    pub digest: String,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// `None`: as it should be.
    pub status: Option<GitRepositoryStatus>,
    /// Whether it is a warning, the reason, the words.
    pub said: Option<(bool, &'static str, String)>,
}

pub(super) fn decide(
    before: &GitRepository,
    fetched: &Result<Fetched, Failure>,
    now: Timestamp,
) -> Plan {
    let mut status = before.status.clone();
    let generation = before.metadata.generation;
    status.observed_generation = generation;
    let requested = before.metadata.annotations.get(REQUESTED_AT);
    status.last_handled_reconcile_at = requested.cloned().or(status.last_handled_reconcile_at);
    let mut said = None;
    let failed = |it: &Failure, kind: &str, holds: bool| {
        Condition::new(kind, holds, it.reason, it.message.as_str()).observed(generation)
    };
    match fetched {
        Ok(Fetched { revision, digest }) => {
            let message = format!("stored artifact for revision '{}'", revision.label);
            if status.artifact.as_ref().is_none_or(|it| it.revision != revision.label) {
                status.artifact = Some(Artifact {
                    revision: revision.label.clone(),
                    last_update_time: Some(now),
                    ..Artifact::default()
                });
                said = Some((false, "NewArtifact", message.clone()));
            }
            if let Some(artifact) = &mut status.artifact {
                artifact.digest.clone_from(digest);
            }
            status.conditions.retain(|it| it.kind != "FetchFailed");
            for kind in ["Ready", "ArtifactInStorage"] {
                let it = Condition::new(kind, true, "Succeeded", message.as_str());
                set_condition(&mut status.conditions, it.observed(generation), now);
            }
        }
        Err(failure) => {
            let known = find_condition(&before.status.conditions, "Ready");
            if known.is_none_or(|it| it.message != failure.message) {
                said = Some((true, failure.reason, failure.message.clone()));
            }
            set_condition(&mut status.conditions, failed(failure, "Ready", false), now);
            set_condition(&mut status.conditions, failed(failure, "FetchFailed", true), now);
        }
    }
    Plan { status: Some(status).filter(|it| *it != before.status), said }
}

/// When to ask the remote again.
pub(super) fn again(spec: &GitRepositorySpec, failed: bool) -> Duration {
    let interval = parse_duration(&spec.interval).unwrap_or(Duration::from_mins(1)).max(SHORTEST);
    if failed { interval.min(RETRY) } else { interval }
}

/// A field that is accepted but not acted on; to ignore it would apply what was not asked for.
pub(super) fn unsupported(spec: &GitRepositorySpec) -> Option<Failure> {
    let given = [
        ("spec.verify", spec.verify.is_some()),
        ("spec.recurseSubmodules", spec.recurse_submodules),
        ("spec.include", !spec.include.is_empty()),
        ("spec.sparseCheckout", !spec.sparse_checkout.is_empty()),
        ("spec.proxySecretRef", spec.proxy_secret_ref.is_some()),
    ];
    let (field, _) = given.into_iter().find(|(_, given)| *given)?;
    Some(Failure {
        reason: "Unsupported",
        message: format!("{field} is not supported yet; nothing is fetched while it is set"),
    })
}

pub(super) fn failure(error: &FetchError) -> Failure {
    let reason = match error {
        FetchError::AuthRefused { .. }
        | FetchError::HostKey { .. }
        | FetchError::BadCredentials { .. } => "AuthenticationFailed",
        FetchError::BadUrl { .. } => "URLInvalid",
        FetchError::Store { .. } => "StorageOperationFailed",
        _ => "GitOperationFailed",
    };
    Failure { reason, message: chain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched() -> Fetched {
        let revision = Revision { commit: "c0ffee".into(), label: "main@sha1:c0ffee".into() };
        Fetched { revision, digest: "sha1:7ea".into() }
    }

    #[test]
    fn a_fetch_settles_in_one_round_and_is_said_once() {
        let now = Timestamp::UNIX_EPOCH;
        let mut it = GitRepository::default();
        let plan = decide(&it, &Ok(fetched()), now);
        assert!(plan.said.is_some());
        it.status = plan.status.unwrap();
        let artifact = it.status.artifact.as_ref().unwrap();
        assert_eq!((artifact.digest.as_str(), artifact.last_update_time), ("sha1:7ea", Some(now)));
        assert_eq!(decide(&it, &Ok(fetched()), now), Plan::default());
    }

    #[test]
    fn a_failure_keeps_the_artifact_and_a_success_clears_it() {
        let now = Timestamp::UNIX_EPOCH;
        let mut it = GitRepository::default();
        it.status = decide(&it, &Ok(fetched()), now).status.unwrap();
        let gone = Failure { reason: "GitOperationFailed", message: "gone".into() };
        it.status = decide(&it, &Err(gone.clone()), now).status.unwrap();
        assert_eq!(it.status.artifact.as_ref().unwrap().revision, "main@sha1:c0ffee");
        assert!(!find_condition(&it.status.conditions, "Ready").unwrap().is_true());
        assert_eq!(decide(&it, &Err(gone), now), Plan::default());
        it.status = decide(&it, &Ok(fetched()), now).status.unwrap();
        assert!(find_condition(&it.status.conditions, "FetchFailed").is_none());
    }

    #[test]
    fn sub_minute_intervals_are_kept() {
        let every = |it: &str| GitRepositorySpec { interval: it.into(), ..Default::default() };
        assert_eq!(again(&every("1s"), false), Duration::from_secs(1));
        assert_eq!(again(&every("10m"), true), RETRY);
    }
}
