//! How a kind is served: names, scope, schema, columns. What the API server's table is made of.

use serde_json::Value;

/// One version of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// Lower case; the resource name in paths.
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    /// The `status` subresource exists: writes of the main resource leave status alone.
    pub has_status: bool,
    /// Only the hub writes it; to users it is a view.
    pub read_only: bool,
    /// `OpenAPI` v3 structural schema of the whole object, with descriptions.
    pub schema: Value,
    /// Columns after NAME (and NAMESPACE).
    pub columns: Vec<Column>,
}

impl Row {
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }
}

/// As `additionalPrinterColumns` of a CRD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    /// Kubernetes' simple `JSONPath`, from the object's root: `.status.x`.
    pub path: &'static str,
    /// 0 always shown, 1 with `-o wide`.
    pub priority: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    String,
    Integer,
    Boolean,
    Date,
}

impl ColumnType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Date => "date",
        }
    }
}

impl Column {
    pub(crate) fn text(name: &'static str, path: &'static str) -> Self {
        Self { name, kind: ColumnType::String, path, priority: 0 }
    }

    pub(crate) fn integer(name: &'static str, path: &'static str) -> Self {
        Self { kind: ColumnType::Integer, ..Self::text(name, path) }
    }

    pub(crate) fn boolean(name: &'static str, path: &'static str) -> Self {
        Self { kind: ColumnType::Boolean, ..Self::text(name, path) }
    }

    pub(crate) fn age() -> Self {
        Self { kind: ColumnType::Date, ..Self::text("Age", ".metadata.creationTimestamp") }
    }

    /// Shown only with `-o wide`.
    pub(crate) fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }
}
