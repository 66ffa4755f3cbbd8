//! How an embedder describes a kind; custom resource definitions come down to the same rows.

use serde_json::Value;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Namespaced,
    Cluster,
}

/// A kind with all its versions.
#[derive(Clone, Debug, Default)]
pub struct KindRow {
    pub group: String,
    pub kind: String,
    pub plural: String,
    /// Empty: the kind in lower case.
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub scope: Scope,
    /// One of them is the storage version: the one marked, or else the first.
    pub versions: Vec<VersionRow>,
}

#[derive(Clone, Debug, Default)]
pub struct VersionRow {
    pub name: String,
    pub storage: bool,
    /// Known, but not reachable.
    pub not_served: bool,
    /// Answered, never stored.
    pub create_only: bool,
    /// Objects are deleted one by one only.
    pub no_collection: bool,
    /// An OpenAPI v3 schema as in a CustomResourceDefinition; `Null`: anything goes.
    pub schema: Value,
    pub status: bool,
    pub scale: Option<ScalePaths>,
    pub columns: Vec<Column>,
    /// Field paths that field selectors may use, beside name and namespace.
    pub selectable: Vec<String>,
}

/// JSON paths (`.spec.replicas`) of the scale subresource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScalePaths {
    pub spec_replicas: String,
    pub status_replicas: String,
    /// Empty: none.
    pub label_selector: String,
}

/// A printer column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub column_type: String,
    pub format: String,
    pub description: String,
    /// 0 is always shown; greater ones by `-o wide` only.
    pub priority: i32,
    pub json_path: String,
}
