//! What a cluster that leaves still has of the fleet's, by its own word; and its cleaning.

use kogge_agent::{MANAGED_LABEL, SYSTEM_NAMESPACE};
use kogge_member::{Client, DeleteOptions, Error, Resource};

/// The account that `kogge join` made for the hub.
const ACCOUNT: &str = "kogge";
const INVENTORY: &str = "kogge-inventory";

/// How many objects carry the fleet's label, of the kinds that its inventory names.
pub(super) async fn objects(member: &Client) -> Result<usize, Error> {
    let config_maps = Resource::new("", "v1", "ConfigMap", "configmaps", true);
    let inventory = match member.get(&config_maps, SYSTEM_NAMESPACE, INVENTORY).await {
        Ok(it) => it,
        Err(error) if error.is_not_found() => return Ok(0),
        Err(error) => return Err(error),
    };
    let kinds = kogge_member::object::text(&inventory, "/data/kinds");
    let mut count = 0;
    for (api_version, kind) in kinds.lines().filter_map(|it| it.split_once(' ')) {
        let resource = match member.resource(api_version, kind).await {
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
pub(super) async fn clean(member: &Client) -> Result<(), Error> {
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
