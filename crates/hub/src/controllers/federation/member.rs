//! What a cluster that leaves still has of the fleet's, by its own word; and its cleaning.

use kogge_agent::{MANAGED_LABEL, SYSTEM_NAMESPACE};
use kogge_member::{Client, DeleteOptions, Error, Resource};

/// The ServiceAccount of the hub on a cluster, and its ClusterRoleBinding.
pub const ACCOUNT: &str = "kogge";

/// How many objects carry the fleet's label, of the kinds that its inventory names.
pub(super) async fn objects(member: &Client) -> Result<usize, Error> {
    let mut count = 0;
    for (api_version, kind) in kogge_agent::inventory_kinds(member).await? {
        let resource = match member.resource(&api_version, &kind).await {
            Ok(it) => it,
            // Its definition is gone, and so are its objects.
            Err(error) if matches!(error.fault, kogge_member::Fault::NoSuchKind { .. }) => continue,
            Err(error) => return Err(error),
        };
        count += member.list(&resource, "", &format!("{MANAGED_LABEL}=true")).await?.len();
    }
    Ok(count)
}

/// Takes the hub's namespace and account off the cluster. The account's rights go last: they are
/// what is used.
pub async fn clean(member: &Client) -> Result<(), Error> {
    let rbac = "rbac.authorization.k8s.io";
    let namespaces = Resource::new("", "v1", "Namespace", "namespaces", false);
    let bindings = Resource::new(rbac, "v1", "ClusterRoleBinding", "clusterrolebindings", false);
    let options = DeleteOptions::default();
    for (resource, name) in [(namespaces, SYSTEM_NAMESPACE), (bindings, ACCOUNT)] {
        match member.delete(&resource, "", name, &options).await {
            Err(error) if error.is_not_found() => {}
            other => other?,
        }
    }
    Ok(())
}
