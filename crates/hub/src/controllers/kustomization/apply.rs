//! Puts rendered objects on the hub, and takes away what left Git.
//!
//! What was applied is remembered with the hub's object as it was right after, so that an
//! object that is as it was costs nothing, and one that somebody changed is put back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use kogge_api::flux::InventoryEntry;
use kogge_git::RenderedObject;
use kogge_member::{Apply, DeleteOptions, Error, Fault, ObjectKey, Resource, object};
use kogge_sync::{canonical, drift, inventory::Id, order};
use serde_json::Value;

use super::decide::{OWNER_NAME, OWNER_NAMESPACE, entry};
use crate::{cache, context::Shared};

use crate::lock::lock;

/// The field manager of what comes from Git.
pub(super) const MANAGER: &str = "kogge-kustomization";
/// `disabled` on an object keeps it when it leaves Git, as in Flux.
const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";

/// What is known of an object's last apply.
struct Applied {
    manifest: String,
    revision: u64,
    /// The hub's object right after, without status and bookkeeping.
    live: String,
    /// The `FieldsV1` that are Git's.
    fields: Value,
}

#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<ObjectKey, Applied>>);

/// One object that has to be on the hub.
struct Item {
    resource: Resource,
    value: Value,
    place: String,
}

/// Why the set could not be applied.
pub(super) enum Refused {
    /// It will not go without a change.
    Invalid(String),
    /// It may go in a moment.
    NotYet(String),
}

/// What was applied, in that order, and what was put back on the way.
#[derive(Default)]
pub(super) struct Done {
    pub entries: Vec<InventoryEntry>,
    pub keys: Vec<ObjectKey>,
    pub put_back: Vec<String>,
}

pub(super) struct Applier<'a> {
    pub hub: &'a Shared,
    pub memory: &'a Memory,
    pub owner: &'a ObjectKey,
}

impl Applier<'_> {
    /// Tries all that changed, then applies it. A refused object leaves the hub as it was, unless
    /// its kind comes with the set: then what was applied before it is told as well.
    pub async fn apply(&self, rendered: &[RenderedObject]) -> Result<Done, (Refused, Done)> {
        let mut done = Done::default();
        let applied = self.apply_in_order(rendered, &mut done).await;
        done.entries.sort();
        match applied {
            Ok(()) => Ok(done),
            Err(refused) => Err((refused, done)),
        }
    }

    async fn apply_in_order(
        &self,
        rendered: &[RenderedObject],
        done: &mut Done,
    ) -> Result<(), Refused> {
        let (mut items, late) = self.resolve(rendered).await?;
        items.sort_by(|a, b| order::compare(&a.value, &b.value));
        for item in items.iter().filter(|it| self.must_apply(it)) {
            self.refuse_stranger(item)?;
            self.try_out(item, &items).await?;
        }
        for item in &items {
            self.put(item, done).await?;
        }
        for item in self.served_now(late).await? {
            self.refuse_stranger(&item)?;
            self.put(&item, done).await?;
        }
        Ok(())
    }

    /// The objects with their resources, and those whose kind comes with the set.
    async fn resolve<'a>(
        &self,
        rendered: &'a [RenderedObject],
    ) -> Result<(Vec<Item>, Vec<&'a RenderedObject>), Refused> {
        let brought: BTreeSet<(&str, &str)> = rendered
            .iter()
            .filter(|it| it.value["kind"] == "CustomResourceDefinition")
            .map(|it| {
                (
                    object::text(&it.value, "/spec/group"),
                    object::text(&it.value, "/spec/names/kind"),
                )
            })
            .collect();
        let (mut items, mut late) = (Vec::new(), Vec::new());
        for it in rendered {
            let key = ObjectKey::of(&it.value);
            match self.hub.resource(object::text(&it.value, "/apiVersion"), &key.kind).await {
                Ok(resource) => items.push(item(it, resource)),
                Err(error) if matches!(error.fault, Fault::NoSuchKind { .. }) => {
                    if brought.contains(&(key.group.as_str(), key.kind.as_str())) {
                        late.push(it);
                    } else {
                        return Err(refused(&place(it), &error));
                    }
                }
                Err(error) => return Err(refused(&place(it), &error)),
            }
        }
        Ok((items, late))
    }

    async fn served_now(&self, late: Vec<&RenderedObject>) -> Result<Vec<Item>, Refused> {
        let mut items = Vec::new();
        for it in late {
            let key = ObjectKey::of(&it.value);
            let found = self.hub.client.resource_of_kind(&key.group, &key.kind).await;
            let mut resource = found
                .map_err(|error| Refused::NotYet(format!("{}: {}", place(it), error.fault)))?;
            let version = object::text(&it.value, "/apiVersion");
            version.rsplit_once('/').map_or(version, |it| it.1).clone_into(&mut resource.version);
            items.push(item(it, resource));
        }
        items.sort_by(|a, b| order::compare(&a.value, &b.value));
        Ok(items)
    }

    fn must_apply(&self, item: &Item) -> bool {
        let key = ObjectKey::of(&item.value);
        let Some(live) = self.hub.cache.get(&key) else { return true };
        let memory = lock(&self.memory.0);
        let Some(applied) = memory.get(&key) else { return true };
        let same_manifest = applied.manifest == canonical::hash(&canonical::bytes(&item.value));
        let same_live =
            live.revision <= applied.revision || live_hash(&live.value()) == applied.live;
        !(same_manifest && same_live)
    }

    /// An object of another Kustomization is left alone: two owners would never agree.
    fn refuse_stranger(&self, item: &Item) -> Result<(), Refused> {
        let Some(live) = self.hub.cache.value(&ObjectKey::of(&item.value)) else { return Ok(()) };
        let Some(owner) = owner(&live).filter(|it| it != self.owner) else { return Ok(()) };
        if self.hub.cache.get(&owner).is_none() {
            return Ok(());
        }
        let (namespace, name) = (owner.namespace, owner.name);
        let place = &item.place;
        Err(Refused::Invalid(format!("{place} belongs to Kustomization {namespace}/{name}")))
    }

    async fn try_out(&self, item: &Item, all: &[Item]) -> Result<(), Refused> {
        let namespace = object::namespace(&item.value);
        let comes =
            |it: &Item| it.value["kind"] == "Namespace" && object::name(&it.value) == namespace;
        let there = self.hub.cache.get(&ObjectKey::new("", "Namespace", "", namespace)).is_some();
        if !namespace.is_empty() && !there && all.iter().any(comes) {
            return Ok(());
        }
        let how = Apply { manager: MANAGER, force: true, dry_run: true };
        let tried = self.hub.client.apply(&item.resource, &item.value, how).await;
        tried.map(|_| ()).map_err(|error| refused(&item.place, &error))
    }

    async fn put(&self, item: &Item, done: &mut Done) -> Result<(), Refused> {
        let key = ObjectKey::of(&item.value);
        if self.must_apply(item) {
            if let Some(what) = self.what_was_done(&key) {
                done.put_back.push(format!("{key}: {what}; put back"));
            }
            let how = Apply { manager: MANAGER, force: true, dry_run: false };
            let applied = self.hub.client.apply(&item.resource, &item.value, how).await;
            let live = applied.map_err(|error| refused(&item.place, &error))?;
            let applied = Applied {
                manifest: canonical::hash(&canonical::bytes(&item.value)),
                revision: object::resource_version(&live).parse().unwrap_or(0),
                live: live_hash(&live),
                fields: fields(&live),
            };
            lock(&self.memory.0).insert(key.clone(), applied);
        }
        done.entries.push(entry(&item.value));
        done.keys.push(key);
        Ok(())
    }

    /// What somebody did to an object of Git's, if its fields are no longer what they were.
    fn what_was_done(&self, key: &ObjectKey) -> Option<String> {
        let memory = lock(&self.memory.0);
        let applied = memory.get(key)?;
        let Some(live) = self.hub.cache.get(key) else { return Some("deleted".to_owned()) };
        if live.revision <= applied.revision {
            return None;
        }
        let live = live.value();
        let taken = drift::fields_taken(&applied.fields, &live, MANAGER);
        (!taken.is_empty()).then(|| drift::describe(&applied.fields, &live, MANAGER))
    }

    /// Deletes what is still this Kustomization's, last applied first. Returns what is gone.
    pub async fn delete(&self, entries: &[InventoryEntry]) -> Result<Vec<String>, Error> {
        let mut ids: Vec<(Id, &InventoryEntry)> =
            entries.iter().filter_map(|it| Some((Id::parse(&it.id)?, it))).collect();
        ids.sort_by_key(|(id, _)| std::cmp::Reverse(order::stage(&id.group, &id.kind)));
        let mut gone = Vec::new();
        for (id, entry) in ids {
            let key = ObjectKey::new(&id.group, &id.kind, &id.namespace, &id.name);
            lock(&self.memory.0).remove(&key);
            let Some(live) = self.hub.cache.value(&key) else { continue };
            let kept = |it: Option<&str>| it == Some("disabled");
            let stays = kept(object::annotation(&live, PRUNE)) || kept(object::label(&live, PRUNE));
            if stays || owner(&live).as_ref() != Some(self.owner) {
                continue;
            }
            let version = if id.group.is_empty() {
                entry.v.clone()
            } else {
                format!("{}/{}", id.group, entry.v)
            };
            let resource = self.hub.resource(&version, &id.kind).await?;
            let uid = Some(object::uid(&live).to_owned());
            let options = DeleteOptions { uid, ..DeleteOptions::default() };
            match self.hub.client.delete(&resource, &id.namespace, &id.name, &options).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => gone.push(key.to_string()),
            }
        }
        Ok(gone)
    }
}

fn item(it: &RenderedObject, resource: Resource) -> Item {
    let mut value = it.value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    let metadata = &mut value["metadata"];
    if !resource.namespaced {
        if let Some(fields) = metadata.as_object_mut() {
            fields.remove("namespace");
        }
    } else if metadata["namespace"].as_str().is_none_or(str::is_empty) {
        metadata["namespace"] = "default".into();
    }
    Item { resource, value, place: place(it) }
}

/// The object and where it is written: `Deployment shop/web (manifests/web.yaml:3)`.
fn place(it: &RenderedObject) -> String {
    let key = ObjectKey::of(&it.value);
    let name = if key.namespace.is_empty() {
        key.name.clone()
    } else {
        format!("{}/{}", key.namespace, key.name)
    };
    let at = if it.line == 0 { String::new() } else { format!(":{}", it.line) };
    format!("{} {name} ({}{at})", key.kind, it.file)
}

fn refused(place: &str, error: &Error) -> Refused {
    let message = match &error.fault {
        Fault::NoSuchKind { api_version, kind } => format!(
            "{place}: the fleet serves no kind {kind} of {api_version}; \
             its CustomResourceDefinition has to be applied first"
        ),
        fault => format!("{place}: {fault}"),
    };
    match error.fault {
        Fault::Server(_)
        | Fault::Unreachable(_)
        | Fault::Untrusted(_)
        | Fault::TooManyRequests(_) => Refused::NotYet(message),
        _ => Refused::Invalid(message),
    }
}

/// The Kustomization that an object says it belongs to.
pub(super) fn owner(object: &Value) -> Option<ObjectKey> {
    let name = object::label(object, OWNER_NAME)?;
    let namespace = object::label(object, OWNER_NAMESPACE)?;
    Some(ObjectKey::new(super::GROUP, "Kustomization", namespace, name))
}

/// What counts of a live object: not its status, nor what the API server keeps for itself.
fn live_hash(object: &Value) -> String {
    canonical::hash(&canonical::bytes(&cache::without_status(object.clone())))
}

fn fields(live: &Value) -> Value {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let ours = entries.into_iter().flatten().find(|it| {
        it["manager"] == MANAGER && it["operation"] == "Apply" && it.get("subresource").is_none()
    });
    ours.map(|it| it["fieldsV1"].clone()).unwrap_or_default()
}
