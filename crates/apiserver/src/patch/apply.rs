//! Server-side apply. The rules: docs/algorithms/server-side-apply.md.

use serde_json::{Value, json};

use crate::{
    fields::{
        combine,
        compare::{Changes, compare},
        extract::{closed, extract},
        managed::{Operation, Owned, Owner, Owners, Write, never_owned},
        record,
        set::Set,
        zero,
    },
    schema::Type,
    status::{Cause, Failure},
};

/// The manager whose client-side apply left this annotation gives way to its server-side apply.
const KUBECTL: &str = "kubectl";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object that results from `write.manager` applying `config`, `managedFields` included.
///
/// Creates when `live` is `None`. A result equal to `live` means that nothing is to be written.
/// 400 for a configuration that is no such object, 409 with the causes when other managers own
/// what would change and `force` is not set.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    ty: Type,
    write: &Write,
    force: bool,
) -> Result<Value, Failure> {
    check(config, ty, write)?;
    let nothing = json!({});
    let live = live.unwrap_or(&nothing);
    let owners = owners_before(live, ty, write);
    let attempt = match settle(live, config, ty, write, owners.clone()) {
        attempt if force || attempt.conflicts.is_empty() => attempt,
        attempt => {
            let left = conflicts_left(&attempt, live, ty, write);
            if !left.is_empty() {
                return Err(refusal(&left));
            }
            attempt
        }
    };
    let mut object = attempt.finish(live, write);
    if write.manager == KUBECTL && object["metadata"]["annotations"].get(LAST_APPLIED).is_some() {
        object["metadata"]["annotations"][LAST_APPLIED] = format!("{config}\n").into();
    }
    Ok(object)
}

/// An apply worked out as if forced, with the conflicts it would have to force.
struct Attempt {
    object: Value,
    owners: Owners,
    before: Owners,
    changes: Changes,
    conflicts: Vec<(Owner, Set)>,
}

fn settle(live: &Value, config: &Value, ty: Type, write: &Write, before: Owners) -> Attempt {
    let mut owners = before.clone();
    let me = write.owner(Operation::Apply);
    let last = owners.0.get(&me).cloned();
    let set = extract(Some(ty), config).recursive_difference(write.resets());
    let time = last.as_ref().and_then(|it| it.time.clone());
    let mine = Owned { api_version: write.api_version.into(), time, set };
    owners.0.insert(me.clone(), mine);

    let merged = combine::merge(Some(ty), live, config);
    let object = match &last {
        Some(last) => prune(merged, &last.set, &owners, ty),
        None => merged,
    };
    let start = if live.get("metadata").is_some() { live.clone() } else { zero(Some(ty), &object) };
    let changes = compare(Some(ty), &start, &object).without(write.resets());
    let touched = changes.modified.union(&changes.added);

    let mut conflicts = Vec::new();
    for (owner, owned) in owners.0.iter_mut().filter(|(owner, _)| **owner != me) {
        let conflict = owned.set.intersection(&touched);
        if !conflict.is_empty() {
            owned.set = owned.set.difference(&conflict);
            conflicts.push((owner.clone(), conflict));
        }
        owned.set = owned.set.difference(&changes.removed);
    }
    if let Some(mine) = owners.0.get_mut(&me) {
        mine.set = mine.set.difference(never_owned());
    }
    owners.drop_empty();
    Attempt { object, owners, before, changes, conflicts }
}

impl Attempt {
    /// My time becomes now when values changed, or what I own did; all else keeps its bytes.
    fn finish(mut self, live: &Value, write: &Write) -> Value {
        let me = write.owner(Operation::Apply);
        let before = self.before.0.get(&me);
        if let Some(mine) = self.owners.0.get_mut(&me) {
            let unchanged = before.is_some_and(|it| it.set == mine.set && it.time.is_some());
            if !self.changes.is_empty() || !unchanged {
                mine.time = Some(write.time());
            }
        }
        let object = if self.changes.is_empty() && live.get("metadata").is_some() {
            // Numbers and nulls that only look different stay as they were stored.
            live.clone()
        } else {
            self.object
        };
        let mut object = object;
        self.owners.write_to(&mut object);
        object
    }
}

/// `merged` without what only the last configuration of this manager asked for.
fn prune(merged: Value, last: &Set, owners: &Owners, ty: Type) -> Value {
    let place = Some(ty);
    let last = closed(last, place);
    let kept = |object: &Value| closed(&extract(place, object), place);
    // On the way, null stands for what was emptied: null is a member, an empty list is none.
    let without = |set: &Set| combine::remove(place, &merged, set, |_| Value::Null);

    let all = kept(&merged);
    let owned = closed(&owners.union(), place);
    let unowned = all.difference(&kept(&without(&last)).union(&owned));
    let mine_alone = all.difference(&kept(&without(&unowned))).intersection(&last);
    if mine_alone.is_empty() {
        return merged;
    }
    combine::remove(place, &merged, &mine_alone, Value::clone)
}

/// Objects from before anyone applied belong to `before-first-apply`.
fn owners_before(live: &Value, ty: Type, write: &Write) -> Owners {
    let mut owners = Owners::of(live);
    if owners.0.is_empty() && live.get("metadata").is_some() {
        let first = Write { manager: "before-first-apply", subresource: "", ..*write };
        record(&mut owners, &compare(Some(ty), &zero(Some(ty), live), live), &first);
    }
    owners
}

/// Conflicts that stand. Those with fields that kubectl's client-side apply set do not, when
/// kubectl itself moves to server-side apply.
fn conflicts_left(attempt: &Attempt, live: &Value, ty: Type, write: &Write) -> Vec<(Owner, Set)> {
    let allowed = match write.manager {
        KUBECTL => last_applied(live, ty).unwrap_or_default(),
        _ => Set::default(),
    };
    let left =
        attempt.conflicts.iter().map(|(owner, set)| (owner.clone(), set.difference(&allowed)));
    left.filter(|(_, set)| !set.is_empty()).collect()
}

/// What the last-applied annotation names and the live object still has as it says.
fn last_applied(live: &Value, ty: Type) -> Option<Set> {
    let text = live["metadata"]["annotations"].get(LAST_APPLIED)?.as_str()?;
    let said: Value = serde_json::from_str(text).ok()?;
    let Changes { removed, modified, added } = compare(Some(ty), &said, live);
    Some(extract(Some(ty), &said).difference(&modified).difference(&added).difference(&removed))
}

fn check(config: &Value, ty: Type, write: &Write) -> Result<(), Failure> {
    let meta = &config["metadata"];
    if !meta["managedFields"].is_null() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    if write.manager.is_empty() {
        return Err(Failure::bad_request("fieldManager is required for apply patch"));
    }
    let said = config["apiVersion"].as_str().unwrap_or_default();
    if said != write.api_version {
        return Err(Failure::bad_request(format!(
            "incorrect version specified in apply patch. Specified patch version: {said}, \
             expected: {}",
            write.api_version
        )));
    }
    let mut errors = Vec::new();
    combine::check(Some(ty), config, &mut String::new(), &mut errors);
    let Some(first) = errors.first() else { return Ok(()) };
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let what = format!(
        "{}/{}; {said}, Kind={}",
        text(&meta["namespace"]),
        text(&meta["name"]),
        text(&config["kind"])
    );
    let more = match errors.len() {
        1 => String::new(),
        several => format!(" (and {} more)", several - 1),
    };
    Err(Failure::bad_request(format!(
        "failed to create typed patch object ({what}): {first}{more}"
    )))
}

fn refusal(conflicts: &[(Owner, Set)]) -> Failure {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (owner, set) in conflicts {
        lines.push(format!("conflicts with {owner}:"));
        for path in set.paths() {
            let field: String = path.iter().map(ToString::to_string).collect();
            lines.push(format!("- {field}"));
            let message = format!("conflict with {owner}");
            causes.push(Cause { reason: "FieldManagerConflict", message, field });
        }
    }
    let message = match causes.as_slice() {
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        several => {
            format!("Apply failed with {} conflicts: {}", several.len(), lines.join("\n"))
        }
    };
    Failure::conflict(message).causes(causes)
}
