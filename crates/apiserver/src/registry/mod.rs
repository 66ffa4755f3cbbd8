//! The table of kinds: built in, of the embedder, and custom ones as they come and go.
//!
//! Readers take a [`Registry`] snapshot and keep it for one request.

mod builtin;
mod kind;
mod row;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

pub use self::{
    kind::{Resource, Verbs},
    row::{Column, KindRow, ScalePaths, Scope, VersionRow},
};

/// One immutable state of the table.
#[derive(Debug, Default)]
pub struct Registry {
    /// By group, version, plural.
    resources: BTreeMap<(String, String, String), Arc<Resource>>,
    /// The row that objects under a storage prefix `/group/plural/` are stored as.
    by_prefix: BTreeMap<String, Arc<Resource>>,
}

impl Registry {
    pub(crate) fn new(resources: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let mut registry = Self::default();
        for resource in resources {
            if resource.is_storage_version {
                registry.by_prefix.insert(resource.prefix.clone(), resource.clone());
            }
            if !resource.is_served {
                continue;
            }
            let key = (resource.group.clone(), resource.version.clone(), resource.plural.clone());
            registry.resources.insert(key, resource);
        }
        registry
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    pub fn find_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.iter().find(|it| it.group == group && it.version == version && it.kind == kind)
    }

    /// In order of group, version, plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    /// One row for each stored resource: that of its storage version.
    pub fn stored(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_prefix.values()
    }

    /// The row, namespace and name of a storage key.
    pub fn locate<'k>(&self, key: &'k str) -> Option<(&Arc<Resource>, Option<&'k str>, &'k str)> {
        let mut slashes = key.match_indices('/').map(|(at, _)| at);
        let end = slashes.nth(2)? + 1;
        let resource = self.by_prefix.get(&key[..end])?;
        match (resource.is_namespaced(), key[end..].split_once('/')) {
            (true, Some((namespace, name))) => Some((resource, Some(namespace), name)),
            (false, None) => Some((resource, None, &key[end..])),
            _ => None,
        }
    }

    /// The versions of a group that are served, the preferred one first.
    pub fn versions<'a>(&'a self, group: &'a str) -> Vec<&'a str> {
        let mut versions: Vec<&str> =
            self.iter().filter(|it| it.group == group).map(|it| it.version.as_str()).collect();
        versions.dedup();
        versions.sort_by_key(|it| std::cmp::Reverse(version_rank(it)));
        versions.dedup();
        versions
    }

    /// Named groups, in order of name.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.iter().map(|it| it.group.as_str()).collect();
        groups.dedup();
        groups.retain(|it| !it.is_empty());
        groups
    }
}

/// The built-in kinds and those of the embedder.
pub(crate) fn fixed(kinds: &[KindRow]) -> Vec<Arc<Resource>> {
    builtin::resources().chain(kinds.iter().flat_map(|it| Resource::of(it, true))).collect()
}

/// The table as readers see it, replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Current(RwLock<Arc<Registry>>);

impl Current {
    pub fn get(&self) -> Arc<Registry> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, registry: Registry) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registry);
    }
}

/// Kubernetes' order of versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, others.
pub(crate) fn version_rank(version: &str) -> (u8, u32, u32) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..digits].parse().ok()?;
        let (level, minor) = match &rest[digits..] {
            "" => (3, "0"),
            rest => rest
                .strip_prefix("beta")
                .map(|it| (2, it))
                .or_else(|| rest.strip_prefix("alpha").map(|it| (1, it)))?,
        };
        Some((level, major, minor.parse().ok()?))
    };
    parse().unwrap_or((0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rank_as_in_kubernetes() {
        let mut versions = ["v1alpha1", "foo", "v1beta1", "v2", "v1", "v1beta2", "v11"];
        versions.sort_by_key(|it| std::cmp::Reverse(version_rank(it)));
        assert_eq!(versions, ["v11", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]);
    }
}
