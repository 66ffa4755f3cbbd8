//! Names of objects in a Kustomization's inventory, as Flux writes them.

use serde_json::Value;

use crate::json::{group, text};

/// Which object: what the id of an inventory entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub namespace: String,
    pub name: String,
    pub group: String,
    pub kind: String,
}

impl Id {
    pub fn of(object: &Value) -> Self {
        Self {
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            group: group(object).to_owned(),
            kind: text(object, "/kind").to_owned(),
        }
    }

    /// Reads `namespace_name_group_kind`. Namespaces, groups and kinds have no `_`; names of RBAC
    /// objects may have `:`, which is written `__`.
    pub fn parse(id: &str) -> Option<Self> {
        let (namespace, rest) = id.split_once('_')?;
        let (rest, kind) = rest.rsplit_once('_')?;
        let (name, group) = rest.rsplit_once('_')?;
        if name.is_empty() || kind.is_empty() {
            return None;
        }
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.replace("__", ":"),
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.replace(':', "__");
        write!(f, "{}_{name}_{}_{}", self.namespace, self.group, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, want: [&str; 4]) {
        let got = Id::parse(id).unwrap();
        assert_eq!([&got.namespace[..], &got.name, &got.group, &got.kind], want);
        assert_eq!(got.to_string(), id);
    }

    #[test]
    fn ids_are_flux_s() {
        check("default_podinfo_apps_Deployment", ["default", "podinfo", "apps", "Deployment"]);
        check("_shop__Namespace", ["", "shop", "", "Namespace"]);
        check("shop_web__Service", ["shop", "web", "", "Service"]);
        check(
            "_system__node_rbac.authorization.k8s.io_ClusterRole",
            ["", "system:node", "rbac.authorization.k8s.io", "ClusterRole"],
        );
        assert_eq!(Id::parse("nonsense"), None);
        assert_eq!(Id::parse("a_b"), None);
        assert_eq!(Id::parse("a__b_"), None);
    }
}
