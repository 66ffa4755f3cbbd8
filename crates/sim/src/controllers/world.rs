//! Everything the controllers know of their cluster, and whom a change concerns.

use std::collections::{BTreeMap, BTreeSet};

use kogge_member::object;
use serde_json::Value;

use super::kind::{Key, Kind};

#[derive(Debug, Default)]
pub(super) struct World {
    objects: BTreeMap<Key, Value>,
    /// By the uid of a controller: what it controls.
    owned: BTreeMap<String, BTreeSet<Key>>,
    /// What nobody controls.
    orphans: BTreeSet<Key>,
    /// Kinds whose first list is in.
    listed: BTreeSet<Kind>,
    /// Uids of what was asked to go, until it is gone.
    going: BTreeSet<String>,
}

impl World {
    pub fn is_complete(&self) -> bool {
        self.listed.len() == Kind::COUNT
    }

    /// All there is of a kind; gives the keys to look at.
    pub fn reset(&mut self, kind: Kind, items: Vec<Value>) -> Vec<Key> {
        self.listed.insert(kind);
        let present: BTreeSet<Key> = items.iter().map(|it| Key::of(kind, it)).collect();
        let gone: Vec<Value> = self
            .objects
            .iter()
            .filter(|(key, _)| key.kind == kind && !present.contains(*key))
            .map(|(_, it)| it.clone())
            .collect();
        let mut touched: Vec<Key> = gone.iter().flat_map(|it| self.remove(kind, it)).collect();
        for item in items {
            touched.extend(self.set(kind, item));
        }
        touched
    }

    /// Takes an object, unless a newer state of it is known.
    pub fn set(&mut self, kind: Kind, mut it: Value) -> Vec<Key> {
        let key = Key::of(kind, &it);
        let known = self.objects.get(&key);
        let same = known.is_some_and(|known| object::uid(known) == object::uid(&it));
        if same && known.map_or(0, version) >= version(&it) {
            return Vec::new();
        }
        let before = if same { known.cloned() } else { None };
        // Nobody here asks who set what; it is the larger half of many objects.
        if let Some(metadata) = it["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        if self.going.contains(object::uid(&it)) && !object::is_deleting(&it) {
            it["metadata"]["deletionTimestamp"] = LONG_AGO.into();
        }
        let mut touched = self.concerned(kind, &it);
        // Whoever loses it hears of that too.
        touched.extend(before.iter().flat_map(|it| self.concerned(kind, it)));
        self.disown(&key);
        if let Some(by) = controller(&it) {
            self.owned.entry(object::text(by, "/uid").to_owned()).or_default().insert(key.clone());
        } else {
            self.orphans.insert(key.clone());
        }
        self.objects.insert(key, it);
        touched
    }

    pub fn remove(&mut self, kind: Kind, it: &Value) -> Vec<Key> {
        let key = Key::of(kind, it);
        self.going.remove(object::uid(it));
        // An object of the same name may have taken its place.
        if self.objects.get(&key).is_some_and(|known| object::uid(known) == object::uid(it)) {
            self.disown(&key);
            self.objects.remove(&key);
        }
        self.concerned(kind, it)
    }

    fn disown(&mut self, key: &Key) {
        self.orphans.remove(key);
        let Some(by) = self.objects.get(key).and_then(controller) else { return };
        let uid = object::text(by, "/uid").to_owned();
        if let Some(keys) = self.owned.get_mut(&uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.owned.remove(&uid);
            }
        }
    }

    /// It was asked to go: until the watch says that it is gone it counts as going, whatever
    /// older states of it are still on their way.
    pub fn mark_deleted(&mut self, key: &Key) {
        if let Some(it) = self.objects.get_mut(key) {
            self.going.insert(object::uid(it).to_owned());
            if !object::is_deleting(it) {
                it["metadata"]["deletionTimestamp"] = LONG_AGO.into();
            }
        }
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        let from = Key::new(kind, "", "");
        self.objects.range(from..).take_while(move |(key, _)| key.kind == kind).map(|(_, it)| it)
    }

    pub fn in_namespace<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let from = Key::new(kind, namespace, "");
        self.objects
            .range(from..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, it)| it)
    }

    /// What nobody controls, by name.
    pub fn orphans<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let keys = self.orphans.range(Key::new(kind, namespace, "")..);
        keys.take_while(move |key| key.kind == kind && key.namespace == namespace)
            .filter_map(|key| self.objects.get(key))
    }

    /// What `owner` controls, of a kind, by name.
    pub fn owned<'a>(&'a self, kind: Kind, owner: &'a Value) -> impl Iterator<Item = &'a Value> {
        let keys = self.owned.get(object::uid(owner)).into_iter().flatten();
        keys.filter(move |key| key.kind == kind && key.namespace == object::namespace(owner))
            .filter_map(|key| self.objects.get(key))
    }

    /// Itself, its controller, and who selects or counts it.
    fn concerned(&self, kind: Kind, it: &Value) -> Vec<Key> {
        let mut keys = vec![Key::of(kind, it)];
        let namespace = object::namespace(it);
        match controller(it) {
            Some(by) => {
                if let Some(kind) = by["kind"].as_str().and_then(Kind::named) {
                    keys.push(Key::new(kind, namespace, object::text(by, "/name")));
                }
            }
            None => keys.extend(self.adopters(kind, namespace)),
        }
        match kind {
            Kind::Pod => {
                keys.extend(self.keys(Kind::Service, namespace));
                let node = Key::new(Kind::Node, "", object::text(it, "/spec/nodeName"));
                if !node.name.is_empty() && !self.objects.contains_key(&node) {
                    keys.push(node);
                }
            }
            Kind::Node => {
                keys.extend(self.all(Kind::DaemonSet).map(|it| Key::of(Kind::DaemonSet, it)));
            }
            Kind::ServiceAccount => keys.push(Key::new(Kind::Namespace, "", namespace)),
            // A leftover of a service that is gone.
            Kind::Endpoints => keys.push(Key::new(Kind::Service, namespace, object::name(it))),
            Kind::PersistentVolumeClaim => keys.extend(self.keys(Kind::StatefulSet, namespace)),
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet => {
                keys.extend(self.keys(Kind::HorizontalPodAutoscaler, namespace));
            }
            _ => {}
        }
        keys
    }

    /// Who might take in what nobody controls.
    fn adopters(&self, kind: Kind, namespace: &str) -> Vec<Key> {
        let kinds: &[Kind] = match kind {
            Kind::Pod => &[Kind::ReplicaSet, Kind::StatefulSet, Kind::DaemonSet],
            Kind::ReplicaSet => &[Kind::Deployment],
            _ => &[],
        };
        kinds.iter().flat_map(|kind| self.keys(*kind, namespace)).collect()
    }

    fn keys(&self, kind: Kind, namespace: &str) -> Vec<Key> {
        self.in_namespace(kind, namespace).map(|it| Key::of(kind, it)).collect()
    }
}

const LONG_AGO: &str = "1970-01-01T00:00:00Z";

pub(super) fn controller(it: &Value) -> Option<&Value> {
    it["metadata"]["ownerReferences"].as_array()?.iter().find(|it| it["controller"] == true)
}

fn version(it: &Value) -> u64 {
    object::resource_version(it).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(version: u64, owner: &str) -> Value {
        json!({"metadata": {"name": "p", "namespace": "shop", "uid": "p", "managedFields": [],
            "resourceVersion": version.to_string(), "ownerReferences": [
                {"kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true}]}})
    }

    fn owner(uid: &str) -> Value {
        json!({"metadata": {"namespace": "shop", "uid": uid}})
    }

    #[test]
    fn a_change_of_the_controller_concerns_both() {
        let mut world = World::default();
        world.set(Kind::Pod, pod(1, "a"));
        let touched = world.set(Kind::Pod, pod(2, "b"));
        for name in ["a", "b"] {
            assert!(touched.contains(&Key::new(Kind::ReplicaSet, "shop", name)), "{touched:?}");
        }
        assert_eq!(world.owned(Kind::Pod, &owner("a")).count(), 0);
        assert_eq!(world.owned(Kind::Pod, &owner("b")).count(), 1);
        assert_eq!(world.orphans(Kind::Pod, "shop").count(), 0);
        let mut let_go = pod(3, "b");
        let_go["metadata"]["ownerReferences"] = Value::Null;
        world.set(Kind::Pod, let_go);
        assert_eq!(world.orphans(Kind::Pod, "shop").count(), 1);
        assert_eq!(world.orphans(Kind::Pod, "other").count(), 0);
        world.set(Kind::Pod, pod(4, "b"));
        assert_eq!(world.orphans(Kind::Pod, "shop").count(), 0);
        world.remove(Kind::Pod, &pod(4, "b"));
        assert_eq!(world.owned(Kind::Pod, &owner("b")).count(), 0);
    }

    #[test]
    fn what_was_asked_to_go_stays_going_whatever_comes_late() {
        let mut world = World::default();
        let key = Key::new(Kind::Pod, "shop", "p");
        world.set(Kind::Pod, pod(1, "a"));
        world.mark_deleted(&key);
        world.set(Kind::Pod, pod(2, "a"));
        assert!(world.get(&key).is_some_and(object::is_deleting));
        assert!(world.set(Kind::Pod, pod(1, "a")).is_empty(), "an old state says nothing new");
    }
}
