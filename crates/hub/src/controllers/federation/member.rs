//! What a cluster that leaves still has of the fleet's, by its own word; and its cleaning.

use kogge_agent::{MANAGED_LABEL, SYSTEM_NAMESPACE, link::ClusterState};
use kogge_member::{Client, DeleteOptions, Error, Resource};

use super::decide::Left;

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

/// What is left where the hub cannot ask, since the cluster's agent dials: what that said last.
pub(super) fn by_its_agent(said: Option<&ClusterState>, is_silent: bool) -> Left {
    let owned = said.and_then(|it| it.owned);
    match owned {
        _ if is_silent => Left::Unknown(
            "its agent is silent; see that kogge agent runs there and reaches the hub".to_owned(),
        ),
        None => Left::Unknown("its agent has not said it yet".to_owned()),
        Some(0) => Left::Nothing,
        Some(count) => Left::Objects(count),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owned: Option<usize>, is_silent: bool, want: &Result<Left, &str>) {
        let said = ClusterState { owned, ..ClusterState::default() };
        match (by_its_agent(Some(&said), is_silent), want) {
            (Left::Unknown(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (left, want) => assert_eq!(Ok(left), *want),
        }
    }

    #[test]
    fn an_agent_is_believed_while_it_speaks() {
        check(Some(0), false, &Ok(Left::Nothing));
        check(Some(7), false, &Ok(Left::Objects(7)));
        check(Some(0), true, &Err("its agent is silent"));
        check(None, false, &Err("has not said it yet"));
        assert!(matches!(by_its_agent(None, false), Left::Unknown(_)));
    }
}
