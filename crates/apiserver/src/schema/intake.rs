//! What happens to an object between its decoding and its admission.

use serde_json::Value;

use super::{Type, builtin_defaults, defaults, prune, settle};
use crate::status::Failure;

/// The kind of an object, as messages name it.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// `apps/v1`.
    pub api_version: &'a str,
    pub kind: &'a str,
    /// Comes from a definition, or is described like one.
    pub custom: bool,
}

/// Refuses what is not of its kind with 400, takes out unknown fields and sets defaults.
///
/// Gives what `fieldValidation` wants to hear of: `unknown field "spec.foo"`.
pub fn intake(kind: Kind, ty: Type, object: &mut Value) -> Result<Vec<String>, Failure> {
    let done = if kind.custom { prune::prune(ty, object) } else { settle::settle(ty, object) };
    let unknown = done.map_err(|error| refused(kind, &error.to_string()))?;
    complete(kind, ty, object);
    Ok(unknown)
}

/// Sets defaults; an object that admission has changed is completed again.
pub fn complete(kind: Kind, ty: Type, object: &mut Value) {
    if kind.custom {
        defaults::apply(ty, object);
    } else {
        builtin_defaults::apply(kind.api_version, kind.kind, object);
    }
}

/// 400 of `fieldValidation=Strict`, for unknown and duplicate fields.
pub fn strict(kind: Kind, found: &[String]) -> Failure {
    refused(kind, &format!("strict decoding error: {}", found.join(", ")))
}

fn refused(kind: Kind, why: &str) -> Failure {
    let Kind { api_version, kind, .. } = kind;
    let version = api_version.rsplit('/').next().unwrap_or_default();
    Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
    ))
}
