//! Everything the controllers know of their cluster, and whom a change concerns.

use std::collections::{BTreeMap, BTreeSet};

use kogge_member::{Resource, object};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    Pod,
    Service,
    EndpointSlice,
    Node,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Namespace,
        Self::ServiceAccount,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::Node,
    ];

    pub fn resource(self) -> Resource {
        match self {
            Self::Namespace => Resource::new("", "v1", "Namespace", "namespaces", false),
            Self::ServiceAccount => {
                Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true)
            }
            Self::Deployment => Resource::new("apps", "v1", "Deployment", "deployments", true),
            Self::ReplicaSet => Resource::new("apps", "v1", "ReplicaSet", "replicasets", true),
            Self::StatefulSet => Resource::new("apps", "v1", "StatefulSet", "statefulsets", true),
            Self::DaemonSet => Resource::new("apps", "v1", "DaemonSet", "daemonsets", true),
            Self::Job => Resource::new("batch", "v1", "Job", "jobs", true),
            Self::Pod => Resource::new("", "v1", "Pod", "pods", true),
            Self::Service => Resource::new("", "v1", "Service", "services", true),
            Self::EndpointSlice => {
                Resource::new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true)
            }
            Self::Node => Resource::new("", "v1", "Node", "nodes", false),
        }
    }

    fn named(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.resource().kind == kind)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn of(kind: Kind, it: &Value) -> Self {
        Self { kind, namespace: object::namespace(it).into(), name: object::name(it).into() }
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    objects: BTreeMap<Key, Value>,
    /// Kinds whose first list is in.
    listed: BTreeSet<Kind>,
}

impl World {
    pub fn is_complete(&self) -> bool {
        self.listed.len() == Kind::ALL.len()
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
    pub fn set(&mut self, kind: Kind, it: Value) -> Vec<Key> {
        let key = Key::of(kind, &it);
        let known = self.objects.get(&key);
        let same = known.is_some_and(|known| object::uid(known) == object::uid(&it));
        if same && known.map_or(0, version) > version(&it) {
            return Vec::new();
        }
        let touched = self.concerned(kind, &it);
        self.objects.insert(key, it);
        touched
    }

    pub fn remove(&mut self, kind: Kind, it: &Value) -> Vec<Key> {
        let key = Key::of(kind, it);
        // An object of the same name may have taken its place.
        if self.objects.get(&key).is_some_and(|known| object::uid(known) == object::uid(it)) {
            self.objects.remove(&key);
        }
        self.concerned(kind, it)
    }

    /// It was asked to go; until the watch says more it counts as going.
    pub fn mark_deleted(&mut self, key: &Key) {
        if let Some(it) = self.objects.get_mut(key) {
            it["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
        }
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |(key, _)| key.kind == kind).map(|(_, it)| it)
    }

    pub fn in_namespace<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let from = Key { kind, namespace: namespace.to_owned(), name: String::new() };
        self.objects
            .range(from..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, it)| it)
    }

    /// What `owner` controls, of a kind.
    pub fn owned<'a>(&'a self, kind: Kind, owner: &'a Value) -> impl Iterator<Item = &'a Value> {
        self.in_namespace(kind, object::namespace(owner)).filter(move |it| {
            controller(it).is_some_and(|by| by["uid"] == owner["metadata"]["uid"])
        })
    }

    /// Itself, its controller, and who selects or counts it.
    fn concerned(&self, kind: Kind, it: &Value) -> Vec<Key> {
        let mut keys = vec![Key::of(kind, it)];
        let namespace = object::namespace(it).to_owned();
        if let Some(by) = controller(it)
            && let Some(kind) = by["kind"].as_str().and_then(Kind::named)
        {
            let name = by["name"].as_str().unwrap_or_default().to_owned();
            keys.push(Key { kind, namespace: namespace.clone(), name });
        }
        match kind {
            Kind::Pod => {
                let services = self.in_namespace(Kind::Service, &namespace);
                keys.extend(services.map(|it| Key::of(Kind::Service, it)));
            }
            Kind::Node => {
                keys.extend(self.all(Kind::DaemonSet).map(|it| Key::of(Kind::DaemonSet, it)));
            }
            Kind::ServiceAccount => {
                keys.push(Key { kind: Kind::Namespace, namespace: String::new(), name: namespace });
            }
            _ => {}
        }
        keys
    }
}

pub(super) fn controller(it: &Value) -> Option<&Value> {
    it["metadata"]["ownerReferences"].as_array()?.iter().find(|it| it["controller"] == true)
}

fn version(it: &Value) -> u64 {
    object::resource_version(it).parse().unwrap_or(0)
}
