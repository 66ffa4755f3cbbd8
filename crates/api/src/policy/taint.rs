//! `ClusterTaintPolicy`: which condition of a cluster becomes which taint.

use serde::{Deserialize, Serialize};

use crate::fleet::{ClusterAffinity, affinity_schema};
use crate::meta::ObjectMeta;
use crate::schema::{Schema, list, object, one_of, text};

/// Has no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterTaintPolicy {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: ClusterTaintPolicySpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterTaintPolicySpec {
    pub target_clusters: Option<ClusterAffinity>,
    /// All must hold for the taints to be added.
    pub add_on_conditions: Vec<MatchCondition>,
    /// All must hold for the taints to be removed.
    pub remove_on_conditions: Vec<MatchCondition>,
    pub taints: Vec<TaintToAdd>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MatchCondition {
    pub condition_type: String,
    /// `In` or `NotIn`.
    pub operator: String,
    pub status_values: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaintToAdd {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub effect: String,
}

pub(super) fn spec() -> (&'static str, Schema) {
    let conditions = |about: &str| {
        let one = [
            ("conditionType", text("Type of the condition.")),
            ("operator", one_of("Operator.", &["In", "NotIn"])),
            (
                "statusValues",
                list("Values of status.", one_of("Status.", &["True", "False", "Unknown"])),
            ),
        ];
        list(
            about,
            object("A condition.", one).required(&["conditionType", "operator", "statusValues"]),
        )
    };
    let taint = [
        ("key", text("Taint key.").not_empty()),
        ("value", text("Taint value.")),
        ("effect", one_of("Effect.", &["NoSchedule", "NoExecute"])),
    ];
    let spec = object(
        "Which clusters, when, and which taints.",
        [
            ("targetClusters", affinity_schema("Which clusters. Without: all.")),
            ("addOnConditions", conditions("All must hold for the taints to be added.")),
            ("removeOnConditions", conditions("All must hold for the taints to be removed.")),
            (
                "taints",
                list("The taints.", object("A taint.", taint).required(&["key", "effect"]))
                    .at_least_one(),
            ),
        ],
    )
    .required(&["taints"]);
    ("Stored, and nothing acts on it yet. Taints clusters by their conditions.", spec)
}
