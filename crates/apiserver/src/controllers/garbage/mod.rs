//! Deletes what lost its last owner, in the order that the deletion of the owner asked for.
//!
//! Reading order: `decide` holds the rules, this file reads around one object
//! and carries the effects out. That an owner is absent is never believed of the
//! graph alone: the store is asked by place and uid.

pub(super) mod decide;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::decide::{Effect, FOREGROUND, Observed, OwnerState, Propagation};
use super::{
    caller::{Caller, Refused},
    graph::{Graph, Item, OwnerRef, Place},
    watch::Kinds,
};
use crate::{object, registry::Registry, server::ApiServer};

pub(super) const USER: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

pub(super) fn observe(graph: &Graph, item: &Item, server: &ApiServer) -> Observed {
    let registry = server.registry();
    let owners = item.owners.iter();
    Observed {
        owners: owners.map(|it| (it.clone(), state(graph, item, it, &registry, server))).collect(),
        dependents: graph.dependents(&item.uid).cloned().collect(),
        item: item.clone(),
    }
}

fn state(
    graph: &Graph,
    item: &Item,
    owner: &OwnerRef,
    registry: &Registry,
    server: &ApiServer,
) -> OwnerState {
    let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let kind = registry.stored().find(|it| it.group == group && it.kind == owner.kind);
    let Some(kind) = kind.filter(|it| !it.is_namespaced() || !item.place.namespace.is_empty())
    else {
        return OwnerState::Unknown;
    };
    let namespace = if kind.is_namespaced() { item.place.namespace.clone() } else { "".into() };
    let place =
        Place { kind: kind.prefix.as_str().into(), namespace, name: owner.name.as_str().into() };
    match graph.get(&place) {
        Some(found)
            if found.uid == owner.uid && found.deleting && found.has_finalizer(FOREGROUND) =>
        {
            OwnerState::WaitsForDependents
        }
        Some(found) if found.uid == owner.uid => OwnerState::Present,
        _ => {
            let key = kind.key(Some(&place.namespace), &owner.name);
            let entry = server.store().get(&key);
            let stored: Value =
                entry.and_then(|it| serde_json::from_slice(&it.value).ok()).unwrap_or_default();
            if object::meta(&stored, "uid") == owner.uid {
                OwnerState::Present
            } else {
                OwnerState::Absent
            }
        }
    }
}

/// A refusal means: look at the object again.
pub(super) async fn apply(
    caller: &Caller,
    kinds: &Kinds,
    item: &Item,
    effect: &Effect,
) -> Result<(), Refused> {
    match effect {
        Effect::DropOwners { from, uid, owners } => {
            edit(caller, kinds, from, uid, |meta| {
                let keep = |it: &&Value| !owners.iter().any(|uid| it["uid"] == uid.as_str());
                json!({"ownerReferences": list(&meta["ownerReferences"], keep)})
            })
            .await
        }
        Effect::Unblock { place, uid } => {
            edit(caller, kinds, place, uid, |meta| {
                let mut owners = list(&meta["ownerReferences"], |_| true);
                for owner in &mut owners {
                    owner["blockOwnerDeletion"] = false.into();
                }
                json!({ "ownerReferences": owners })
            })
            .await
        }
        Effect::RemoveFinalizer { place, uid, finalizer } => {
            edit(
                caller,
                kinds,
                place,
                uid,
                |meta| json!({"finalizers": list(&meta["finalizers"], |it| *it != finalizer)}),
            )
            .await
        }
        Effect::Delete { place, uid, propagation } => {
            let Some(resource) = kinds.get(&place.kind) else { return Ok(()) };
            let path = resource.path(Some(&place.namespace), &place.name);
            let Some(live) = live(caller, &path, uid).await? else { return Ok(()) };
            // Decided on what the graph knew: who has other owners by now is decided on anew.
            if Item::read(place.clone(), &live).owners != item.owners {
                return Err(Refused { code: 409, message: "its owners changed".into() });
            }
            let policy = match propagation {
                Propagation::Background => "Background",
                Propagation::Foreground => "Foreground",
                Propagation::Orphan => "Orphan",
            };
            let version = &live["metadata"]["resourceVersion"];
            let options = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
                "preconditions": {"uid": uid, "resourceVersion": version},
            });
            caller.delete(&path, &options).await
        }
    }
}

/// Patches metadata of the object with that uid, as of the state that was read.
async fn edit(
    caller: &Caller,
    kinds: &Kinds,
    place: &Place,
    uid: &str,
    change: impl FnOnce(&Value) -> Value,
) -> Result<(), Refused> {
    let Some(resource) = kinds.get(&place.kind) else { return Ok(()) };
    let path = resource.path(Some(&place.namespace), &place.name);
    let Some(live) = live(caller, &path, uid).await? else { return Ok(()) };
    let mut meta = change(&live["metadata"]);
    meta["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    match caller.patch(&path, &json!({ "metadata": meta })).await {
        Ok(_) | Err(Refused { code: 404, .. }) => Ok(()),
        Err(refused) => Err(refused),
    }
}

async fn live(caller: &Caller, path: &str, uid: &str) -> Result<Option<Value>, Refused> {
    match caller.get(path).await {
        Ok(live) => Ok(Some(live).filter(|it| object::meta(it, "uid") == uid)),
        Err(Refused { code: 404, .. }) => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn list(items: &Value, keep: impl FnMut(&&Value) -> bool) -> Vec<Value> {
    items.as_array().into_iter().flatten().filter(keep).cloned().collect()
}
