//! Everything the hub stores, in memory and up to date: what controllers decide from.
//!
//! Fed by the API server's change stream; an object is kept as the bytes it is
//! served as, and read as JSON by whoever looks at it.

mod essence;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard},
};

use bytes::Bytes;
use kogge_member::ObjectKey;
use serde_json::Value;

/// Group and kind.
pub(crate) type GroupKind = (String, String);
type Objects = BTreeMap<ObjectKey, Object>;

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub bytes: Bytes,
    pub revision: u64,
}

impl Object {
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("the API server serves JSON")
    }
}

/// One change, with the object before it: what it concerned may no longer be seen in the new one.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub key: ObjectKey,
    /// `None`: deleted.
    pub object: Option<Object>,
    pub previous: Option<Object>,
    /// Read once, however many controllers ask.
    templates: OnceLock<Vec<ObjectKey>>,
    status_only: OnceLock<bool>,
}

impl Changed {
    pub fn new(key: ObjectKey, object: Option<Object>, previous: Option<Object>) -> Self {
        Self { key, object, previous, templates: OnceLock::new(), status_only: OnceLock::new() }
    }

    /// The templates that a binding is or was about: one, unless somebody rewrote it.
    pub fn templates(&self) -> &[ObjectKey] {
        self.templates.get_or_init(|| {
            let objects = [self.object.as_ref(), self.previous.as_ref()].into_iter().flatten();
            let mut keys: Vec<ObjectKey> =
                objects.filter_map(|it| crate::bindings::template_of(&it.value())).collect();
            keys.dedup();
            keys
        })
    }

    /// Whether it is of no interest to who places and renders: only a status was written.
    ///
    /// Read once for all who ask, without building the two objects: most changes are such.
    pub fn is_status_only(&self) -> bool {
        *self.status_only.get_or_init(|| {
            let (Some(now), Some(before)) = (&self.object, &self.previous) else { return false };
            let now = essence::of(&now.bytes);
            now.is_some() && now == essence::of(&before.bytes)
        })
    }

    /// Whether anything but status and bookkeeping changed; a new or a deleted object did.
    pub fn is_of_more_than_status(&self) -> bool {
        match (&self.object, &self.previous) {
            (Some(now), Some(before)) => {
                without_status(now.value()) != without_status(before.value())
            }
            _ => true,
        }
    }
}

/// An object without its status and without what the API server keeps for itself.
pub(crate) fn without_status(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["resourceVersion", "managedFields", "generation"] {
            metadata.remove(field);
        }
    }
    object
}

#[derive(Clone, Default)]
pub(crate) struct Cache {
    kinds: Arc<RwLock<BTreeMap<GroupKind, Objects>>>,
}

impl Cache {
    pub fn take(&self, key: &ObjectKey, object: Option<Object>) -> Option<Object> {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let id = (key.group.clone(), key.kind.clone());
        match object {
            Some(object) => kinds.entry(id).or_default().insert(key.clone(), object),
            None => kinds.get_mut(&id)?.remove(key),
        }
    }

    pub fn get(&self, key: &ObjectKey) -> Option<Object> {
        self.read().get(&(key.group.clone(), key.kind.clone()))?.get(key).cloned()
    }

    pub fn value(&self, key: &ObjectKey) -> Option<Value> {
        self.get(key).map(|it| it.value())
    }

    /// All objects of a kind, in the order of their keys.
    pub fn all(&self, group: &str, kind: &str) -> Vec<(ObjectKey, Object)> {
        let kinds = self.read();
        let Some(objects) = kinds.get(&(group.to_owned(), kind.to_owned())) else {
            return Vec::new();
        };
        objects.iter().map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    pub fn values(&self, group: &str, kind: &str) -> Vec<Value> {
        self.all(group, kind).into_iter().map(|(_, object)| object.value()).collect()
    }

    /// The keys of every object that `wanted` kinds hold.
    pub fn keys(&self, wanted: impl Fn(&GroupKind) -> bool) -> Vec<ObjectKey> {
        let kinds = self.read();
        kinds
            .iter()
            .filter(|(id, _)| wanted(id))
            .flat_map(|(_, objects)| objects.keys().cloned())
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<GroupKind, Objects>> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner)
    }
}
