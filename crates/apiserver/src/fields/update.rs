//! What a write that is not an apply does to the owners of fields.

use serde_json::{Map, Value, json};

use super::{
    compare::{Changes, compare},
    managed::{Operation, Owned, Owner, Owners, Write, never_owned},
    shape::{Place, child},
};
use crate::schema::Type;

/// Kubernetes keeps this many `Update` entries on one object.
const MAX_UPDATE_OWNERS: usize = 10;

/// Gives all of a new object to its writer. `new` is as it will be stored, defaults included.
pub fn on_create(new: &mut Value, ty: Type, write: &Write) {
    let empty = json!({"metadata": {}});
    on_write(&empty, new, ty, write, true);
}

/// Gives what changed between `live` and `new` to the writer, and takes it from all others.
///
/// `new` is as it will be stored. Its own `managedFields` count where they can be read, so that
/// clients can edit them: one empty entry forgets all owners. Objects nobody owns stay so.
pub fn on_update(live: Option<&Value>, new: &mut Value, ty: Type, write: &Write) {
    match live {
        Some(live) => on_write(live, new, ty, write, false),
        None => on_create(new, ty, write),
    }
}

fn on_write(live: &Value, new: &mut Value, ty: Type, write: &Write, create: bool) {
    let mut owners = live_or_new(live, new, write);
    if owners.0.is_empty() && !create {
        owners.write_to(new);
        return;
    }
    let zero = create.then(|| zero(Some(ty), new));
    let changes = compare(Some(ty), zero.as_ref().unwrap_or(live), new);
    record(&mut owners, &changes, write);
    owners.cap_updates(MAX_UPDATE_OWNERS);
    owners.write_to(new);
}

/// `changes` were made by a write that is no apply.
pub(crate) fn record(owners: &mut Owners, changes: &Changes, write: &Write) {
    let changes = changes.without(write.resets());
    if !changes.is_empty() {
        for owned in owners.0.values_mut() {
            lose(owned, &changes);
        }
    }
    let mine = changes.added.union(&changes.modified).difference(never_owned());
    if !mine.is_empty() {
        let owner: Owner = write.owner(Operation::Update);
        let owned = owners.0.entry(owner).or_insert_with(|| Owned {
            api_version: write.api_version.into(),
            time: None,
            set: super::set::Set::default(),
        });
        owned.set = owned.set.union(&mine);
        owned.time = Some(write.time());
    }
    owners.drop_empty();
}

fn lose(owned: &mut Owned, changes: &Changes) {
    for gone in [&changes.removed, &changes.modified, &changes.added] {
        if !gone.is_empty() {
            owned.set = owned.set.difference(gone);
        }
    }
}

/// The owners the request names on the main resource, else those of the live object.
fn live_or_new(live: &Value, new: &Value, write: &Write) -> Owners {
    let given = &new["metadata"]["managedFields"];
    if write.subresource.is_empty() {
        let reset = given.as_array().is_some_and(|it| match it.as_slice() {
            [Value::Object(only)] => only.values().all(is_blank),
            _ => false,
        });
        if reset {
            return Owners::default();
        }
        if let Some(owners) = Owners::read(given).filter(|it| !it.0.is_empty()) {
            return owners;
        }
    }
    Owners::of(live)
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// An object of this type as a Go program would send it empty: the structs that cannot be absent,
/// as far as `new` has them. Creating a Deployment therefore owns no `f:spec: {".": {}}`, while
/// creating a custom resource does.
pub(crate) fn zero(place: Place, new: &Value) -> Value {
    let built_in = child(place, "metadata").0.is_some_and(|it| is_struct(it));
    if built_in { zero_below(place, new) } else { json!({"metadata": {}}) }
}

fn is_struct(ty: Type) -> bool {
    ty.default().and_then(Value::as_object).is_some_and(Map::is_empty)
}

fn zero_below(place: Place, new: &Value) -> Value {
    let fields = new.as_object().into_iter().flatten();
    let structs = fields.filter_map(|(key, value)| {
        let ty = child(place, key).0.filter(|it| is_struct(*it))?;
        Some((key.clone(), zero_below(Some(ty), value)))
    });
    Value::Object(structs.collect())
}
