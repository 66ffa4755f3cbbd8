//! Where a pod may go: node selector terms, terms between pods, spreading.

use crate::{Error, Labels, Requirement, Selector};
use serde_json::Value;

/// One alternative of a node affinity: all its requirements must hold; an empty term matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSelectorTerm {
    /// On labels.
    pub labels: Vec<Requirement>,
    /// On `metadata.name`.
    pub names: Vec<Requirement>,
}

impl NodeSelectorTerm {
    /// Reads `{matchExpressions, matchFields}`.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        let list = |name: &str| -> Result<Vec<Requirement>, Error> {
            let all = v[name].as_array().into_iter().flatten();
            all.map(|r| Requirement::from_value(r, true).map_err(|e| e.within(name))).collect()
        };
        let (labels, names) = (list("matchExpressions")?, list("matchFields")?);
        match names.iter().find(|r| r.key != "metadata.name") {
            Some(r) => Err(Error::new(
                "matchFields",
                format!("{:?}: not a valid field selector key", r.key),
            )),
            None => Ok(Self { labels, names }),
        }
    }

    /// Whether a node with this name and these labels matches.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        !(self.labels.is_empty() && self.names.is_empty())
            && self.labels.iter().all(|r| r.matches(labels.get(&r.key).map(String::as_str)))
            && self.names.iter().all(|r| r.matches(Some(name)))
    }
}

/// A required affinity (or anti-affinity) to other pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodAffinityTerm {
    /// Which pods; `None` selects none.
    pub selector: Option<Selector>,
    /// In which namespaces; empty with `all_namespaces` off is the pod's own.
    pub namespaces: Vec<String>,
    /// Whether an empty `namespaceSelector` takes in every namespace.
    pub all_namespaces: bool,
    /// The node label whose equal values are one place.
    pub topology_key: String,
}

impl PodAffinityTerm {
    /// Reads a term; a `namespaceSelector` that is not empty is refused, since namespaces are not known here.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        let all_namespaces = v["namespaceSelector"].is_object();
        if all_namespaces && Selector::from_value(&v["namespaceSelector"])? != Selector::default() {
            return Err(Error::new("namespaceSelector", "only an empty selector is supported"));
        }
        let names = v["namespaces"].as_array().into_iter().flatten();
        Ok(Self {
            selector: v["labelSelector"]
                .is_object()
                .then(|| Selector::from_value(&v["labelSelector"]))
                .transpose()?,
            namespaces: names.filter_map(|n| n.as_str().map(str::to_owned)).collect(),
            all_namespaces,
            topology_key: v["topologyKey"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Whether the term of a pod in `own` selects a pod with `namespace` and `labels`.
    pub fn selects(&self, own: &str, namespace: &str, labels: &Labels) -> bool {
        let inside = self.all_namespaces
            || if self.namespaces.is_empty() {
                own == namespace
            } else {
                self.namespaces.iter().any(|n| n == namespace)
            };
        inside && self.selector.as_ref().is_some_and(|s| s.matches(labels))
    }
}

/// A `DoNotSchedule` topology spread constraint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spread {
    /// How many more than the emptiest domain.
    pub max_skew: i64,
    /// The node label whose values are the domains.
    pub topology_key: String,
    /// Which pods are counted.
    pub selector: Selector,
    /// With fewer domains than this the emptiest counts as 0.
    pub min_domains: i64,
}

impl Spread {
    /// Reads a constraint.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        Ok(Self {
            max_skew: v["maxSkew"].as_i64().unwrap_or(1),
            topology_key: v["topologyKey"].as_str().unwrap_or_default().to_owned(),
            selector: Selector::from_value(&v["labelSelector"])?,
            min_domains: v["minDomains"].as_i64().unwrap_or(1),
        })
    }
}
