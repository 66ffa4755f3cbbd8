//! The kinds that controllers know, and the keys of their objects.

use kogge_member::{Resource, object};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
    HorizontalPodAutoscaler,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    CronJob,
    Job,
    Pod,
    PersistentVolumeClaim,
    Service,
    EndpointSlice,
    Endpoints,
    Node,
}

/// Kind, API group, version, kind and plural as they are served.
const SERVED: [(Kind, &str, &str, &str, &str); 16] = [
    (Kind::Namespace, "", "v1", "Namespace", "namespaces"),
    (Kind::ServiceAccount, "", "v1", "ServiceAccount", "serviceaccounts"),
    (
        Kind::HorizontalPodAutoscaler,
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    (Kind::Deployment, "apps", "v1", "Deployment", "deployments"),
    (Kind::ReplicaSet, "apps", "v1", "ReplicaSet", "replicasets"),
    (Kind::StatefulSet, "apps", "v1", "StatefulSet", "statefulsets"),
    (Kind::DaemonSet, "apps", "v1", "DaemonSet", "daemonsets"),
    (Kind::ControllerRevision, "apps", "v1", "ControllerRevision", "controllerrevisions"),
    (Kind::CronJob, "batch", "v1", "CronJob", "cronjobs"),
    (Kind::Job, "batch", "v1", "Job", "jobs"),
    (Kind::Pod, "", "v1", "Pod", "pods"),
    (Kind::PersistentVolumeClaim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    (Kind::Service, "", "v1", "Service", "services"),
    (Kind::EndpointSlice, "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    (Kind::Endpoints, "", "v1", "Endpoints", "endpoints"),
    (Kind::Node, "", "v1", "Node", "nodes"),
];

impl Kind {
    pub const COUNT: usize = SERVED.len();

    pub fn all() -> impl Iterator<Item = Self> {
        SERVED.into_iter().map(|it| it.0)
    }

    pub fn resource(self) -> Resource {
        let (_, group, version, kind, plural) = SERVED[self as usize];
        let namespaced = !matches!(self, Self::Namespace | Self::Node);
        Resource::new(group, version, kind, plural, namespaced)
    }

    pub fn named(kind: &str) -> Option<Self> {
        SERVED.into_iter().find(|it| it.3 == kind).map(|it| it.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub fn of(kind: Kind, it: &Value) -> Self {
        Self::new(kind, object::namespace(it), object::name(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        for (at, kind) in Kind::all().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
            assert_eq!(Kind::named(&kind.resource().kind), Some(kind));
        }
    }
}
