//! The rules. Pure: what a Kustomization asks for and what an attempt came to in, its status out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use kogge_api::{
    Condition, ConditionStatus, find_condition,
    flux::{Inventory, InventoryEntry, Kustomization, KustomizationSpec, KustomizationStatus},
    parse_duration, set_condition,
};
use kogge_git::Options;
use kogge_sync::{
    inventory::Id,
    prune::{Hold, Prune, Wanted, prune},
};
use serde_json::Value;

use crate::controllers::source::REQUESTED_AT;

/// Who owns an object that came from Git, as Flux says it.
pub(super) const OWNER_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
pub(super) const OWNER_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// The annotation by which a person agrees to deletions that are held.
pub(super) const APPROVE_DELETIONS: &str = "kogge.dev/approve-deletions";

const SHORTEST: Duration = Duration::from_millis(500);
/// How long a failure waits at most before it is tried again, unless retryInterval says so.
const RETRY: Duration = Duration::from_secs(15);
/// How soon to look again at what others are about to change.
const SOON: Duration = Duration::from_secs(1);

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    /// Empty where the source has none yet.
    pub revision: String,
    pub outcome: Outcome,
    /// What is owned from now on; `None`: what was owned before.
    pub inventory: Option<Vec<InventoryEntry>>,
    /// Without the person's word some of it would have waited.
    pub used_approval: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Applied,
    /// Applied, and not all of it healthy yet.
    Waiting(String),
    Failed {
        reason: &'static str,
        message: String,
    },
    /// Failed for what may change in a moment.
    Blocked {
        reason: &'static str,
        message: String,
    },
}

impl Attempt {
    pub fn failed(revision: &str, reason: &'static str, message: String) -> Self {
        let outcome = Outcome::Failed { reason, message };
        Self { revision: revision.to_owned(), outcome, inventory: None, used_approval: false }
    }

    pub fn blocked(revision: &str, reason: &'static str, message: String) -> Self {
        let outcome = Outcome::Blocked { reason, message };
        Self { revision: revision.to_owned(), outcome, inventory: None, used_approval: false }
    }
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// `None`: as it should be.
    pub status: Option<KustomizationStatus>,
    /// Whether it is a warning, the reason, the words.
    pub said: Option<(bool, &'static str, String)>,
}

pub(super) fn decide(before: &Kustomization, attempt: &Attempt, now: Timestamp) -> Plan {
    let mut status = before.status.clone();
    let generation = before.metadata.generation;
    status.observed_generation = generation;
    let requested = before.metadata.annotations.get(REQUESTED_AT);
    status.last_handled_reconcile_at = requested.cloned().or(status.last_handled_reconcile_at);
    if !attempt.revision.is_empty() {
        status.last_attempted_revision.clone_from(&attempt.revision);
    }
    if let Some(entries) = &attempt.inventory {
        status.inventory = Some(Inventory { entries: entries.clone() });
    }
    let (holds, reason, message) = match &attempt.outcome {
        Outcome::Applied => {
            status.last_applied_revision.clone_from(&attempt.revision);
            let message = format!("Applied revision: {}", attempt.revision);
            (ConditionStatus::True, "ReconciliationSucceeded", message)
        }
        Outcome::Waiting(message) => (ConditionStatus::Unknown, "Progressing", message.clone()),
        Outcome::Failed { reason, message } | Outcome::Blocked { reason, message } => {
            (ConditionStatus::False, *reason, message.clone())
        }
    };
    let known = find_condition(&before.status.conditions, "Ready");
    let is_news = known.is_none_or(|it| it.reason != reason || it.message != message);
    let warning = holds == ConditionStatus::False;
    let said = is_news.then(|| (warning, reason, message.clone()));
    let ready = Condition::new("Ready", holds, reason, message).observed(generation);
    set_condition(&mut status.conditions, ready, now);
    Plan { status: Some(status).filter(|it| *it != before.status), said }
}

/// When to look again.
pub(super) fn again(spec: &KustomizationSpec, outcome: &Outcome) -> Duration {
    let interval = parse_duration(&spec.interval).unwrap_or(Duration::from_mins(1)).max(SHORTEST);
    let retry = spec.retry_interval.as_deref().and_then(parse_duration);
    match outcome {
        Outcome::Applied => interval,
        Outcome::Waiting(_) | Outcome::Blocked { .. } => SOON.min(interval),
        Outcome::Failed { .. } => retry.unwrap_or(interval.min(RETRY)).max(SHORTEST),
    }
}

/// A field that is accepted but not acted on; to ignore it would apply what was not asked for.
pub(super) fn unsupported(spec: &KustomizationSpec) -> Option<String> {
    let given = |field: &str| spec.rest.get(field).is_some_and(|it| !it.is_null());
    let field = match () {
        () if spec.source_ref.kind != "GitRepository" => "spec.sourceRef.kind".to_owned(),
        () if spec.force => "spec.force".to_owned(),
        () if spec.service_account_name.is_some() => "spec.serviceAccountName".to_owned(),
        () => {
            let fields = ["kubeConfig", "healthCheckExprs"];
            let it = fields.into_iter().find(|it| given(it))?;
            format!("spec.{it}")
        }
    };
    Some(format!("{field} is not supported yet; nothing is applied while it is set"))
}

/// What the renderer is asked for; every object says who owns it.
pub(super) fn render_options(it: &Kustomization, ignore: Option<String>) -> Options {
    let spec = &it.spec;
    let text = |field: &str| spec.rest.get(field).and_then(Value::as_str).map(str::to_owned);
    let list =
        |field: &str| spec.rest.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let map = |field: &str| -> BTreeMap<String, String> {
        let found = spec.rest.get("commonMetadata").and_then(|it| it.get(field)).cloned();
        found.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
    };
    let mut labels = map("labels");
    labels.insert(OWNER_NAME.to_owned(), it.metadata.name.clone());
    labels.insert(OWNER_NAMESPACE.to_owned(), it.metadata.namespace.clone());
    Options {
        target_namespace: spec.target_namespace.clone(),
        name_prefix: text("namePrefix"),
        name_suffix: text("nameSuffix"),
        labels,
        annotations: map("annotations"),
        images: list("images"),
        patches: list("patches"),
        components: list("components")
            .iter()
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect(),
        post_build: spec.rest.get("postBuild").cloned(),
        decryption: spec.rest.get("decryption").cloned(),
        ignore,
        ..Options::default()
    }
}

/// What goes, what stays owned, and the words for what would go but waits for a person.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pruned {
    pub delete: Vec<InventoryEntry>,
    pub keep: Vec<InventoryEntry>,
    pub held: Option<String>,
    /// A person's word is there. It is for what is gone with this, also where nothing was held:
    /// kept, it would let go what leaves one day.
    pub used_approval: bool,
}

/// `wanted` is all that was rendered.
pub(super) fn what_left(it: &Kustomization, wanted: &[InventoryEntry]) -> Pruned {
    let owned = entries(it);
    let ids = |all: &[InventoryEntry]| -> BTreeSet<String> {
        all.iter().map(|it| it.id.clone()).collect()
    };
    let used_approval = it.metadata.annotations.contains_key(APPROVE_DELETIONS);
    if !it.spec.prune {
        return Pruned { keep: wanted.to_vec(), used_approval, ..Pruned::default() };
    }
    let approved = it.metadata.annotations.get(APPROVE_DELETIONS).is_some_and(|it| it == "true");
    let (inventory, wanted_ids) = (ids(owned), ids(wanted));
    let whole = Wanted { ids: &wanted_ids, complete: true };
    let of = |ids: &[String]| -> Vec<InventoryEntry> {
        owned.iter().filter(|it| ids.contains(&it.id)).cloned().collect()
    };
    let mut keep = wanted.to_vec();
    match prune(&inventory, &whole, approved) {
        Prune::Delete(gone) => Pruned { delete: of(&gone), keep, held: None, used_approval },
        Prune::Hold { why, waiting } => {
            let what = match why {
                Hold::Empty => "the render is empty, so nothing is pruned".to_owned(),
                _ => format!("{} of {} objects would go at once", waiting.len(), inventory.len()),
            };
            let held = format!(
                "{what}; {} objects stay; to let them go, run kubectl annotate kustomization -n {} \
                 {} {APPROVE_DELETIONS}=true",
                waiting.len(),
                it.metadata.namespace,
                it.metadata.name
            );
            keep.extend(of(&waiting));
            keep.sort();
            Pruned { keep, held: Some(held), used_approval, ..Pruned::default() }
        }
    }
}

/// What is owned after a part of a revision was applied: what is there has to be pruned one day.
pub(super) fn grown(it: &Kustomization, applied: &[InventoryEntry]) -> Option<Vec<InventoryEntry>> {
    let owned = entries(it);
    let new = applied.iter().filter(|new| !owned.iter().any(|it| it.id == new.id));
    let mut all: Vec<InventoryEntry> = owned.iter().chain(new).cloned().collect();
    all.sort();
    (owned.len() < all.len()).then_some(all)
}

pub(super) fn entries(it: &Kustomization) -> &[InventoryEntry] {
    it.status.inventory.as_ref().map_or(&[], |it| &it.entries)
}

pub(super) fn entry(object: &Value) -> InventoryEntry {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let version = version.rsplit_once('/').map_or(version, |(_, version)| version);
    InventoryEntry { id: Id::of(object).to_string(), v: version.to_owned() }
}

/// The dependency that is not ready, if one is not.
pub(super) fn waits_for(
    it: &Kustomization,
    find: impl Fn(&str, &str) -> Option<Kustomization>,
) -> Option<String> {
    it.spec.depends_on.iter().find_map(|dependency| {
        let reference = &dependency.reference;
        let namespace = reference.namespace.as_deref().unwrap_or(&it.metadata.namespace);
        let name = format!("{namespace}/{}", reference.name);
        let Some(found) = find(namespace, &reference.name) else {
            return Some(format!("dependency '{name}' is not there"));
        };
        let ready = find_condition(&found.status.conditions, "Ready");
        let is_ready = ready.is_some_and(Condition::is_true)
            && found.metadata.generation <= found.status.observed_generation;
        // Of one source: the dependency must have come as far.
        (!is_ready).then(|| format!("dependency '{name}' is not ready"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries_of(range: std::ops::Range<u32>) -> Vec<InventoryEntry> {
        let one = |it| InventoryEntry { id: format!("shop_c{it:02}__ConfigMap"), v: "v1".into() };
        range.map(one).collect()
    }

    fn owning(count: u32) -> Kustomization {
        let mut it = Kustomization::default();
        it.spec.prune = true;
        it.status.inventory = Some(Inventory { entries: entries_of(0..count) });
        it
    }

    #[test]
    fn what_left_git_goes_and_an_empty_render_deletes_nothing() {
        let left = what_left(&owning(3), &entries_of(0..2));
        assert_eq!(left.delete, entries_of(2..3));
        let empty = what_left(&owning(3), &[]);
        assert_eq!((empty.delete.len(), empty.keep.len()), (0, 3));
        assert!(empty.held.unwrap().starts_with("the render is empty, so nothing is pruned"));
    }

    #[test]
    fn a_mass_deletion_waits_for_a_word() {
        let mut it = owning(20);
        assert!(what_left(&it, &entries_of(0..5)).held.is_some());
        it.metadata.annotations.insert(APPROVE_DELETIONS.into(), "true".into());
        let left = what_left(&it, &entries_of(0..5));
        assert_eq!((left.delete.len(), left.used_approval), (15, true));
        assert!(what_left(&it, &entries_of(0..19)).used_approval, "nor is it kept for later");
        it.metadata.annotations.clear();
        assert!(!what_left(&it, &entries_of(0..19)).used_approval);
    }

    #[test]
    fn what_was_applied_of_a_half_is_owned() {
        let it = owning(3);
        assert_eq!(grown(&it, &entries_of(1..3)), None);
        assert_eq!(grown(&it, &entries_of(2..5)), Some(entries_of(0..5)));
    }

    #[test]
    fn an_attempt_settles_in_one_round_and_is_said_once() {
        let mut it = owning(0);
        let attempt = Attempt {
            revision: "main@sha1:1".into(),
            outcome: Outcome::Applied,
            inventory: Some(entries_of(0..2)),
            used_approval: false,
        };
        let plan = decide(&it, &attempt, Timestamp::UNIX_EPOCH);
        assert!(plan.said.is_some());
        it.status = plan.status.unwrap();
        assert_eq!(decide(&it, &attempt, Timestamp::UNIX_EPOCH), Plan::default());
    }

    #[test]
    fn a_broken_build_keeps_what_was_applied() {
        let mut it = owning(2);
        it.status.last_applied_revision = "main@sha1:1".into();
        let attempt = Attempt::failed("main@sha1:2", "BuildFailed", "a.yaml:3: no".into());
        let status = decide(&it, &attempt, Timestamp::UNIX_EPOCH).status.unwrap();
        assert_eq!(status.last_applied_revision, "main@sha1:1");
        assert_eq!(status.last_attempted_revision, "main@sha1:2");
        assert_eq!(status.inventory, it.status.inventory);
        let ready = find_condition(&status.conditions, "Ready").unwrap();
        assert_eq!(
            (ready.reason.as_str(), ready.message.as_str()),
            ("BuildFailed", "a.yaml:3: no")
        );
    }
}
