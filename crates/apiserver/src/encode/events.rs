//! Watch events as JSON lines.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Form, partial,
    table::{Include, Tables},
};
use crate::{
    call::Call,
    object::{self, write_served},
    registry::Resource,
};

/// Writes the events of one watch.
pub(crate) struct Events {
    resource: Arc<Resource>,
    form: Form,
    include: Include,
    now: fn() -> Timestamp,
    /// A table with columns has been sent.
    columns_told: bool,
}

impl Events {
    pub fn new(call: &Call) -> Self {
        Self {
            resource: call.resource.clone(),
            form: call.accept.form,
            include: Include::parse(&call.options.include_object),
            now: call.state.config.now,
            columns_told: false,
        }
    }

    pub fn object(&mut self, out: &mut Vec<u8>, kind: &str, stored: &[u8], revision: u64) {
        begin(out, kind);
        match self.form {
            Form::Object => write_served(out, &self.resource.head, stored, revision),
            Form::Table(version) => self.row(out, version, stored, revision),
            Form::Metadata => out.extend_from_slice(&partial(stored, revision)),
        }
        end(out);
    }

    fn row(&mut self, out: &mut Vec<u8>, version: &str, stored: &[u8], revision: u64) {
        let object = object::parse(stored, revision, &self.resource.api_version);
        let metadata = json!({"resourceVersion": revision.to_string()});
        let with_columns = !std::mem::replace(&mut self.columns_told, true);
        let tables = Tables::new(&self.resource, version, self.include);
        let table = tables.render([&object], &metadata, with_columns, (self.now)());
        out.extend_from_slice(table.to_string().as_bytes());
    }

    /// All up to `revision` has been sent; `initial` marks the end of what existed before.
    pub fn bookmark(&mut self, out: &mut Vec<u8>, revision: u64, initial: bool) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.form {
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1"),
            Form::Object | Form::Table(_) => {
                (self.resource.kind.as_str(), self.resource.api_version.as_str())
            }
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        begin(out, "BOOKMARK");
        out.extend_from_slice(object.to_string().as_bytes());
        end(out);
    }
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}
