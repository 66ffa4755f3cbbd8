//! One row of the table: a kind in one version, and what the server does with it.

use std::sync::Arc;

use super::row::{Column, KindRow, ScalePaths, Scope, VersionRow};
use serde_json::Value;

use crate::{
    names::NameRule,
    object,
    request::qualified,
    schema::{Schema, Type, builtin, intake},
    status::Failure,
};

/// A kind in one version.
#[derive(Debug)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub scope: Scope,
    pub status: bool,
    pub scale: Option<ScalePaths>,
    pub columns: Vec<Column>,
    pub selectable: Vec<String>,
    pub verbs: Verbs,
    /// Comes from a CustomResourceDefinition, or is described like one.
    pub custom: bool,
    pub(crate) is_served: bool,
    pub(crate) is_storage_version: bool,
    /// `/group/plural/`, `core` for the core group.
    pub(crate) prefix: String,
    pub(crate) api_version: String,
    /// The apiVersion of stored bytes.
    pub(crate) stored_as: String,
    /// What served objects begin with.
    pub(crate) head: String,
    pub(crate) name_rule: NameRule,
    /// Of custom kinds: the schema as it was given, and as a graph.
    pub(crate) open_api: Value,
    schema: Option<Schema>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// Stored, with all verbs.
    All,
    /// Stored, with all verbs but `deletecollection`.
    NoCollection,
    /// Answered, never stored (access reviews).
    CreateOnly,
}

impl Resource {
    pub(crate) fn of(row: &KindRow, custom: bool) -> Vec<Arc<Self>> {
        let storage = row.versions.iter().find(|it| it.storage).or(row.versions.first());
        let storage = storage.map(|it| it.name.as_str()).unwrap_or_default();
        row.versions.iter().map(|it| Arc::new(Self::new(row, it, storage, custom))).collect()
    }

    fn new(row: &KindRow, version: &VersionRow, storage: &str, custom: bool) -> Self {
        let stored_as = api_version(&row.group, storage);
        let api_version = api_version(&row.group, &version.name);
        let group = if row.group.is_empty() { "core" } else { &row.group };
        let singular =
            if row.singular.is_empty() { row.kind.to_lowercase() } else { row.singular.clone() };
        Self {
            prefix: format!("/{group}/{}/", row.plural),
            head: object::head(&api_version, &row.kind),
            name_rule: NameRule::of(&row.group, &row.plural),
            api_version,
            stored_as,
            group: row.group.clone(),
            version: version.name.clone(),
            kind: row.kind.clone(),
            plural: row.plural.clone(),
            singular,
            short_names: row.short_names.clone(),
            categories: row.categories.clone(),
            scope: row.scope,
            status: version.status,
            scale: version.scale.clone(),
            columns: version.columns.clone(),
            selectable: version.selectable.clone(),
            verbs: match (version.create_only, version.no_collection) {
                (true, _) => Verbs::CreateOnly,
                (false, true) => Verbs::NoCollection,
                (false, false) => Verbs::All,
            },
            schema: custom.then(|| Schema::of_kind(&version.schema)),
            open_api: version.schema.clone(),
            custom,
            is_served: !version.not_served,
            is_storage_version: version.name == storage,
        }
    }

    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// `deployments.apps`, as messages name a resource.
    pub fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// What is known of the shape of its objects.
    pub(crate) fn ty(&self) -> Option<Type<'_>> {
        match &self.schema {
            Some(schema) => Some(schema.root()),
            None => builtin().kind(&self.api_version, &self.kind),
        }
    }

    /// The kind as schemas name it.
    pub(crate) fn kind_named(&self) -> intake::Kind<'_> {
        intake::Kind { api_version: &self.api_version, kind: &self.kind, custom: self.custom }
    }

    /// Where an object is served.
    pub fn path(&self, namespace: Option<&str>, name: &str) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let place = match namespace.filter(|_| self.is_namespaced()) {
            Some(namespace) => format!("namespaces/{namespace}/"),
            None => String::new(),
        };
        format!("{root}/{}/{place}{}/{name}", self.api_version, self.plural)
    }

    /// Where an object is stored.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace.filter(|_| self.is_namespaced()) {
            Some(namespace) => format!("{}{namespace}/{name}", self.prefix),
            None => format!("{}{name}", self.prefix),
        }
    }

    /// The prefix of all objects, or of those in one namespace.
    pub(crate) fn range(&self, namespace: Option<&str>) -> String {
        match namespace.filter(|_| self.is_namespaced()) {
            Some(namespace) => format!("{}{namespace}/", self.prefix),
            None => self.prefix.clone(),
        }
    }

    pub(crate) fn not_found(&self, name: &str) -> Failure {
        Failure::not_found(&self.group, &self.plural, name)
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
