//! Watch events as JSON lines.

use std::sync::Arc;

use serde_json::json;

use super::{Form, partial};
use crate::{call::Call, object::write_served, registry::Resource};

/// Writes the events of one watch.
pub(crate) struct Events {
    resource: Arc<Resource>,
    form: Form,
}

impl Events {
    pub fn new(call: &Call) -> Self {
        Self { resource: call.resource.clone(), form: call.accept.form }
    }

    pub fn object(&mut self, out: &mut Vec<u8>, kind: &str, stored: &[u8], revision: u64) {
        begin(out, kind);
        match self.form {
            Form::Object | Form::Table(_) => {
                write_served(out, &self.resource.head, stored, revision);
            }
            Form::Metadata => out.extend_from_slice(&partial(stored, revision)),
        }
        end(out);
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
