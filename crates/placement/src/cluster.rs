//! A cluster as placement sees it.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub provider: String,
    pub region: String,
    pub zones: Vec<String>,
    pub taints: Vec<Taint>,
    /// Kinds that it serves, by apiVersion; `None` while that is not known.
    pub apis: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Takes nothing new while false.
    pub ready: bool,
    /// Being unjoined: everything leaves.
    pub deleting: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    pub key: String,
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Cluster {
    /// Values of a field that policies may select by.
    pub(crate) fn field(&self, key: &str) -> Vec<&str> {
        let one = |it: &'_ str| !it.is_empty();
        match key {
            "provider" => Some(self.provider.as_str()).filter(|it| one(it)).into_iter().collect(),
            "region" => Some(self.region.as_str()).filter(|it| one(it)).into_iter().collect(),
            "zone" => self.zones.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn serves(&self, api_version: &str, kind: &str) -> bool {
        let Some(apis) = &self.apis else { return true };
        apis.get(api_version).is_some_and(|kinds| kinds.contains(kind))
    }
}
