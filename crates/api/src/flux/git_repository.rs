//! `GitRepository`: a Git repository that is fetched at an interval.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Condition;
use crate::meta::{LocalReference, Object, is_zero};
use crate::row::{Column, Row};
use crate::schema::{
    Schema, anything, boolean, conditions, duration, integer, list, local_reference, map, object,
    one_of, root, text, time,
};

pub type GitRepository = Object<GitRepositorySpec, GitRepositoryStatus>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositorySpec {
    /// `https://`, `ssh://` or `file://`.
    pub url: String,
    /// Go duration.
    pub interval: String,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Go duration; 60s unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Lines as of .gitignore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recurse_submodules: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
}

/// Of several, commit wins over name, name over semver, semver over tag, tag over branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRef {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositoryStatus {
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Artifact {
    /// As Flux: `main@sha1:<commit>`.
    pub revision: String,
    /// Digest of the tree.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

pub(super) fn row() -> Row {
    Row {
        group: "source.toolkit.fluxcd.io",
        version: "v1",
        kind: "GitRepository",
        plural: "gitrepositories",
        singular: "gitrepository",
        short_names: &["gitrepo"],
        categories: &["flux"],
        namespaced: true,
        has_status: true,
        read_only: false,
        schema: root(
            "A Git repository to take objects from.",
            [("spec", spec()), ("status", status())],
        )
        .required(&["spec"])
        .build(),
        columns: vec![
            Column::text("URL", ".spec.url"),
            Column::age(),
            Column::text("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            Column::text("Status", r#".status.conditions[?(@.type=="Ready")].message"#),
        ],
    }
}

fn spec() -> Schema {
    object(
        "Which repository, and what of it.",
        [
            (
                "url",
                text("The repository: https, ssh or file.").pattern("^(https?|ssh|file)://.*$"),
            ),
            ("interval", duration("How often to look for new commits.")),
            ("ref", git_ref()),
            (
                "secretRef",
                local_reference("Secret with username and password, or identity and known_hosts."),
            ),
            ("timeout", duration("Longest that a fetch may take.").default("60s")),
            ("suspend", boolean("Fetch nothing for now.")),
            ("ignore", text("Files to leave out, as in .gitignore.")),
            ("verify", anything("Signature to check.")),
            ("recurseSubmodules", boolean("Fetch submodules too.")),
            (
                "include",
                list("Other repositories to put into the tree.", anything("A repository.")),
            ),
            ("sparseCheckout", list("Directories to take.", text("Directory."))),
            ("provider", one_of("Provider of credentials.", &["generic", "azure", "github"])),
            ("proxySecretRef", local_reference("Secret with the address of a proxy.")),
            ("serviceAccountName", text("ServiceAccount to get credentials with.")),
        ],
    )
    .required(&["interval", "url"])
}

fn git_ref() -> Schema {
    object(
        "What to check out; branch master unless given.",
        [
            ("branch", text("A branch.")),
            ("tag", text("A tag.")),
            ("semver", text("The newest tag within a range.")),
            ("name", text("A full reference, as refs/pull/1/head.")),
            ("commit", text("A commit.")),
        ],
    )
}

fn status() -> Schema {
    object(
        "What was fetched.",
        [
            ("observedGeneration", integer("Generation that this status is about.")),
            ("conditions", conditions()),
            (
                "artifact",
                object(
                    "The last revision that was fetched.",
                    [
                        ("revision", text("Branch and commit.")),
                        ("digest", text("Digest of the tree.")),
                        ("path", text("Path of the artifact.")),
                        ("url", text("Address of the artifact.")),
                        ("lastUpdateTime", time("When it was fetched.")),
                        ("size", integer("Bytes.")),
                        ("metadata", map("More about the artifact.", text("Value."))),
                    ],
                ),
            ),
            ("includedArtifacts", list("Artifacts put into the tree.", anything("An artifact."))),
            ("observedIgnore", text("Ignore rules in use.")),
            ("observedInclude", list("Includes in use.", anything("An include."))),
            ("observedRecurseSubmodules", boolean("Submodules in use.")),
            ("observedSparseCheckout", list("Directories in use.", text("Directory."))),
            ("sourceVerificationMode", text("Verification in use.")),
            ("lastHandledReconcileAt", text("Last request for a reconcile that was handled.")),
        ],
    )
}
