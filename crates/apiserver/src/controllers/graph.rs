//! What is known of every object: identity, owners, finalizers. Nothing else is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The storage prefix of its kind, such as `/apps/deployments/`.
    pub kind: Arc<str>,
    /// Empty for cluster-wide kinds.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

/// An `ownerReference`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRef {
    pub uid: String,
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub blocks: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub place: Place,
    pub uid: String,
    pub deleting: bool,
    pub finalizers: Vec<String>,
    pub owners: Vec<OwnerRef>,
}

impl Item {
    pub fn read(place: Place, object: &Value) -> Self {
        let meta = &object["metadata"];
        let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| meta[key].as_array().into_iter().flatten();
        Self {
            place,
            uid: text(meta, "uid"),
            deleting: meta["deletionTimestamp"].is_string(),
            finalizers: list("finalizers").filter_map(Value::as_str).map(str::to_owned).collect(),
            owners: list("ownerReferences")
                .map(|it| OwnerRef {
                    uid: text(it, "uid"),
                    api_version: text(it, "apiVersion"),
                    kind: text(it, "kind"),
                    name: text(it, "name"),
                    blocks: it["blockOwnerDeletion"] == true,
                })
                .collect(),
        }
    }

    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|it| it == name)
    }
}

/// All items, found by place, by uid and by the uid of an owner.
#[derive(Debug, Default)]
pub struct Graph {
    items: BTreeMap<Place, Item>,
    places: BTreeMap<String, Place>,
    dependents: BTreeMap<String, BTreeSet<Place>>,
    by_namespace: BTreeMap<Arc<str>, BTreeSet<Place>>,
}

impl Graph {
    pub fn put(&mut self, item: Item) {
        self.remove(&item.place.clone());
        self.places.insert(item.uid.clone(), item.place.clone());
        let place = &item.place;
        self.by_namespace.entry(place.namespace.clone()).or_default().insert(place.clone());
        for owner in &item.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(place.clone());
        }
        self.items.insert(item.place.clone(), item);
    }

    pub fn remove(&mut self, place: &Place) -> Option<Item> {
        let item = self.items.remove(place)?;
        self.places.remove(&item.uid);
        take(&mut self.by_namespace, &place.namespace, place);
        for owner in &item.owners {
            take(&mut self.dependents, &owner.uid, place);
        }
        Some(item)
    }

    pub fn get(&self, place: &Place) -> Option<&Item> {
        self.items.get(place)
    }

    pub fn by_uid(&self, uid: &str) -> Option<&Item> {
        self.items.get(self.places.get(uid)?)
    }

    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Item> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|it| self.items.get(it))
    }

    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// All in one namespace, in the order of their kinds.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Item> {
        self.by_namespace.get(namespace).into_iter().flatten().filter_map(|it| self.items.get(it))
    }
}

fn take<K: Ord + Clone>(index: &mut BTreeMap<K, BTreeSet<Place>>, key: &K, place: &Place) {
    if let Some(them) = index.get_mut(key) {
        them.remove(place);
        if them.is_empty() {
            index.remove(key);
        }
    }
}
