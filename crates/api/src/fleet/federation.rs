//! Federation: the list of members that users start from. `members` is at the top level.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::meta::{LocalReference, ObjectMeta};
use crate::row::{Column, Row};
use crate::schema::{
    boolean, conditions, count, integer, list, list_by, map, object, one_of, reference, root, text,
    time,
};
use crate::{Condition, meta::is_zero};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Federation {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    pub members: Vec<FederationMember>,
    pub status: FederationStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FederationMember {
    pub name: String,
    /// The member's API endpoint.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Labels of the Cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// A Secret with `token` and `caBundle`, or `kubeconfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verification: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FederationStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// For people: `2/3`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ready: String,
    pub total_members: u32,
    pub ready_members: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    pub name: String,
    pub state: MemberState,
    /// One word for programs, as `NoCredentials`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Who saw it then: `hub`, and other members by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen_by: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberState {
    /// Not usable yet; the reason says what is missing.
    Pending,
    Ready,
    NotReady,
    /// Off the list, being drained and unjoined.
    Leaving,
}

pub(super) fn row() -> Row {
    Row {
        group: "federation.k8s.io",
        version: "v1beta1",
        kind: "Federation",
        plural: "federations",
        singular: "federation",
        short_names: &["fed"],
        categories: &["fleet"],
        namespaced: false,
        has_status: true,
        read_only: false,
        schema: root(
            "The clusters that make up a fleet. Each member becomes a Cluster.",
            [("members", members()), ("status", status())],
        )
        .build(),
        columns: vec![
            Column::text("Ready", ".status.ready"),
            Column::text("Reason", r#".status.conditions[?(@.type=="Ready")].reason"#),
            Column::age(),
            Column::text("Message", r#".status.conditions[?(@.type=="Ready")].message"#).wide(),
        ],
    }
}

fn members() -> crate::schema::Schema {
    list_by(
        "The members. One that is taken off the list is drained by policy and unjoined.",
        "name",
        object(
            "A member cluster.",
            [
                (
                    "name",
                    text("Name of the Cluster.").pattern("^[a-z0-9]([-a-z0-9]{0,46}[a-z0-9])?$"),
                ),
                ("url", text("The API endpoint, as https://host:port.").pattern("^https?://.+$")),
                ("region", text("Region that the cluster is in.")),
                ("zone", text("Zone that the cluster is in.")),
                ("provider", text("Who runs the cluster's machines.")),
                ("labels", map("Labels of the Cluster.", text("Value."))),
                (
                    "secretRef",
                    reference("Secret with token and caBundle, or kubeconfig. Namespace kogge-system unless given."),
                ),
                (
                    "insecureSkipTLSVerification",
                    boolean("Do not check the member's certificate. For tests."),
                ),
            ],
        )
        .required(&["name", "url"]),
    )
}

fn status() -> crate::schema::Schema {
    object(
        "What is known of the fleet.",
        [
            ("observedGeneration", integer("Generation that this status is about.")),
            ("ready", text("Members ready of all, as 2/3.")),
            ("totalMembers", count("Members listed.")),
            ("readyMembers", count("Members that are ready.")),
            ("conditions", conditions()),
            (
                "members",
                list_by(
                    "Each member, in the order of the list.",
                    "name",
                    object(
                        "State of a member.",
                        [
                            ("name", text("Name of the member.")),
                            (
                                "state",
                                one_of("State.", &["Pending", "Ready", "NotReady", "Leaving"]),
                            ),
                            ("reason", text("One word for programs, as NoCredentials.")),
                            ("message", text("What is wrong and which command helps.")),
                            (
                                "lastSeen",
                                time("When the hub or another member last saw it, to a minute."),
                            ),
                            ("seenBy", list("Who saw it then: hub, other members.", text("Name."))),
                        ],
                    ),
                ),
            ),
        ],
    )
}
