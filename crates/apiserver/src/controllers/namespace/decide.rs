//! The rules. Pure: how a namespace on its way out is emptied, reported and let go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const FINALIZER: &str = "kubernetes";

/// A namespace and what is still in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub terminating: bool,
    /// `spec.finalizers`
    pub finalizers: Vec<String>,
    pub conditions: Vec<Value>,
    /// RFC 3339
    pub now: String,
    /// Objects by kind (`pods`, `deployments.apps`): all, and those not yet marked for deletion.
    pub content: BTreeMap<String, Count>,
    /// Finalizers of the content, and how many objects have each.
    pub held_by: BTreeMap<String, usize>,
    /// What went wrong in the last attempt to delete content.
    pub failure: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub all: usize,
    pub unmarked: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Delete all objects of this kind.
    Empty(String),
    SetConditions(Vec<Value>),
    /// The last: what remains of `spec.finalizers`.
    Finalize(Vec<String>),
}

pub(crate) fn decide(seen: &Observed) -> Vec<Effect> {
    if !seen.terminating || !seen.finalizers.iter().any(|it| it == FINALIZER) {
        return Vec::new();
    }
    let unmarked = seen.content.iter().filter(|(_, count)| count.unmarked > 0);
    let mut effects: Vec<Effect> = unmarked.map(|(kind, _)| Effect::Empty(kind.clone())).collect();
    let conditions = conditions(seen);
    if conditions != seen.conditions {
        effects.push(Effect::SetConditions(conditions));
    }
    if seen.content.values().all(|it| it.all == 0) {
        let left = seen.finalizers.iter().filter(|it| *it != FINALIZER).cloned().collect();
        effects.push(Effect::Finalize(left));
    }
    effects
}

/// Kubernetes' five conditions; the time of one moves only with its status.
fn conditions(seen: &Observed) -> Vec<Value> {
    let remaining: Vec<String> = (seen.content.iter().filter(|(_, count)| count.all > 0))
        .map(|(kind, count)| format!("{kind}. has {} resource instances", count.all))
        .collect();
    let held: Vec<String> = (seen.held_by.iter())
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let failed = seen.failure.as_ref().map(|it| ("ContentDeletionFailed", it.clone()));
    let remains = (!remaining.is_empty()).then(|| {
        ("SomeResourcesRemain", format!("Some resources are remaining: {}", remaining.join(", ")))
    });
    let holds = (!held.is_empty()).then(|| {
        let said = held.join(", ");
        (
            "SomeFinalizersRemain",
            format!("Some content in the namespace has finalizers remaining: {said}"),
        )
    });
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            None,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            failed,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            remains,
            "ContentRemoved",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            holds,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ];
    let mut conditions: Vec<Value> = seen.conditions.clone();
    for (kind, bad, fine, words) in rows {
        let (status, reason, message) = match bad {
            Some((reason, message)) => ("True", reason, message),
            None => ("False", fine, words.to_owned()),
        };
        let found = conditions.iter().position(|it| it["type"] == kind);
        let since = found.map(|at| &conditions[at]).filter(|it| it["status"] == status);
        let since = since.and_then(|it| it["lastTransitionTime"].as_str()).unwrap_or(&seen.now);
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since,
        });
        match found {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
    }
    conditions
}
