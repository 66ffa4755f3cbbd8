//! What is wrong with an object that has the right types: causes of a 422, in
//! Kubernetes' words.
//!
//! `custom` goes by the schema. Built-in kinds are checked by hand for what users
//! get wrong most (`workloads`, `pods`, `objects`, ...) and for fields that may not
//! change (`updates`); what only a member can know is left to the members.
//! CEL rules (`x-kubernetes-validations`) are not evaluated.

mod autoscaling;
mod causes;
mod custom;
mod formats;
mod labels;
mod metadata;
mod networking;
mod objects;
mod pods;
mod rbac;
mod resources;
mod services;
#[cfg(test)]
mod tests;
mod updates;
mod workloads;

use serde_json::Value;

use self::causes::Causes;
use super::{Type, intake::Kind, path::Path};
use crate::status::Cause;

/// Causes against what every object says of itself, its name aside.
pub fn metadata(object: &Value) -> Vec<Cause> {
    let mut causes = Causes::default();
    metadata::validate(&object["metadata"], &Path::Root.field("metadata"), &mut causes);
    causes.done()
}

/// Causes against `object`, which replaces `old` if there is one.
pub fn validate(kind: Kind, ty: Type, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    if kind.custom {
        return custom::validate(ty, object, old);
    }
    let mut causes = Causes::default();
    let group = kind.api_version.rsplit_once('/').map_or("", |it| it.0);
    match group {
        "" => objects::validate(kind.kind, object, &mut causes),
        "apps" | "batch" => workloads::validate(kind.kind, object, &mut causes),
        "networking.k8s.io" => networking::validate(kind.kind, object, &mut causes),
        "rbac.authorization.k8s.io" => rbac::validate(kind.kind, object, &mut causes),
        "autoscaling" | "policy" => autoscaling::validate(kind.kind, object, &mut causes),
        _ => {}
    }
    if let Some(old) = old {
        updates::validate(group, kind.kind, object, old, &mut causes);
    }
    causes.done()
}
