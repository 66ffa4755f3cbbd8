//! Label selectors, and the same over a cluster's fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    #[serde(default)]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|it| {
                let value = labels.get(&it.key).map(String::as_str);
                it.holds(&value.into_iter().collect::<Vec<_>>())
            })
    }
}

impl Requirement {
    /// Whether it holds for something that has these values: none, one, or, as a cluster's zones, many.
    /// `In` wants one of them, `NotIn` none of them; what has no value is not in anything.
    pub fn holds(&self, values: &[&str]) -> bool {
        let any = values.iter().any(|it| self.values.iter().any(|want| want == it));
        match self.operator {
            Operator::In => any,
            Operator::NotIn => !any,
            Operator::Exists => !values.is_empty(),
            Operator::DoesNotExist => values.is_empty(),
        }
    }
}
