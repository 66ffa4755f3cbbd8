//! What can go wrong on the way to a tree, told apart where a person would act differently.

use std::error::Error;

/// Where gix or the system said why.
pub(crate) type Source = Box<dyn Error + Send + Sync>;

/// Why a reference of a remote could not be had. What was there before stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} is no Git repository, or is gone: {reason}")]
    RemoteGone { url: String, reason: String },
    #[error("could not reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{url} refused the credentials: {reason}")]
    AuthRefused { url: String, reason: String },
    #[error("{url} is not the host that known_hosts names: {reason}")]
    HostKey { url: String, reason: String },
    /// `existing` names some that there are, as they would be written in the reference.
    #[error("{url} has no {wanted}{}", there_is(.existing))]
    ReferenceMissing { url: String, wanted: String, existing: Vec<String> },
    #[error("the reference is not valid: {reason}")]
    BadReference { reason: String },
    #[error("{url} is no URL that can be fetched from: {reason}")]
    BadUrl { url: String, reason: String },
    #[error("the credentials are not valid: {reason}")]
    BadCredentials { reason: String },
    #[error("could not fetch from {url}")]
    Protocol { url: String, source: Source },
    #[error("could not use the local copy at {path}")]
    Store { path: String, source: Source },
}

/// `; there is main, release-1.x`, or nothing.
fn there_is(existing: &[String]) -> String {
    if existing.is_empty() { String::new() } else { format!("; there is {}", existing.join(", ")) }
}

/// Why a path of a commit could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("path {path} is not in commit {commit}{}", .reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    PathMissing { path: String, commit: String, reason: Option<String> },
    #[error("{file} is a symlink to {target}, which {reason}")]
    Symlink { file: String, target: String, reason: &'static str },
    #[error("{path} holds more than {limit}")]
    TooLarge { path: String, limit: String },
    #[error("could not read {what}")]
    Object { what: String, source: Source },
}

impl TreeError {
    pub(crate) fn object(what: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Object { what: what.into(), source: source.into() }
    }
}
