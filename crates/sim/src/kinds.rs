//! The kinds spoken of here, and where they are served.

use kogge_member::Resource;

pub(crate) fn pods() -> Resource {
    Resource::new("", "v1", "Pod", "pods", true)
}

pub(crate) fn nodes() -> Resource {
    Resource::new("", "v1", "Node", "nodes", false)
}

pub(crate) fn events() -> Resource {
    Resource::new("", "v1", "Event", "events", true)
}

pub(crate) fn claims() -> Resource {
    Resource::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true)
}

pub(crate) fn storage_classes() -> Resource {
    Resource::new("storage.k8s.io", "v1", "StorageClass", "storageclasses", false)
}

pub(crate) fn leases() -> Resource {
    Resource::new("coordination.k8s.io", "v1", "Lease", "leases", true)
}

pub(crate) fn definitions() -> Resource {
    let group = "apiextensions.k8s.io";
    Resource::new(group, "v1", "CustomResourceDefinition", "customresourcedefinitions", false)
}

pub(crate) fn node_groups() -> Resource {
    Resource::new("kogge.dev", "v1alpha1", "NodeGroup", "nodegroups", false)
}

/// Where the kubelets' leases are.
pub(crate) const LEASE_NAMESPACE: &str = "kube-node-lease";
/// On a node: the group it belongs to.
pub(crate) const GROUP_LABEL: &str = "kogge.dev/node-group";
/// On a node: whoever scales is done with it.
pub(crate) const DELETE_ANNOTATION: &str = "kogge.dev/delete";
