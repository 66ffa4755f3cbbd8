//! Lists of objects in the form the client asked for. Nothing is parsed for plain JSON.

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use super::{
    Form, Stored, partial, pretty, respond,
    table::{Include, Tables},
};
use crate::{
    body::Body,
    call::Call,
    object::{self, write_served},
};

/// The metadata of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMeta {
    pub revision: u64,
    pub continue_token: Option<String>,
    pub remaining: Option<usize>,
}

impl ListMeta {
    fn to_value(&self) -> Value {
        let mut meta = Map::new();
        meta.insert("resourceVersion".into(), self.revision.to_string().into());
        if let Some(token) = &self.continue_token {
            meta.insert("continue".into(), token.clone().into());
        }
        if let Some(remaining) = self.remaining {
            meta.insert("remainingItemCount".into(), remaining.into());
        }
        meta.into()
    }
}

pub(crate) fn list(call: &Call, items: &[Stored], meta: &ListMeta) -> Response<Body> {
    let resource = &call.resource;
    let bytes = match call.accept.form {
        Form::Object => {
            let kind = format!("{}List", resource.kind);
            joined(&kind, &resource.api_version, meta, items, |out, it| {
                write_served(out, &resource.head, &it.bytes, it.revision);
            })
        }
        Form::Metadata => {
            joined("PartialObjectMetadataList", "meta.k8s.io/v1", meta, items, |out, it| {
                out.extend_from_slice(&partial(&it.bytes, it.revision));
            })
        }
        Form::Table(version) => table(call, version, items, Some(meta)),
    };
    respond(200, pretty(bytes, call.options.pretty))
}

fn joined(
    kind: &str,
    api_version: &str,
    meta: &ListMeta,
    items: &[Stored],
    write: impl Fn(&mut Vec<u8>, &Stored),
) -> Bytes {
    let size: usize = items.iter().map(|it| it.bytes.len() + 64).sum();
    let mut out = Vec::with_capacity(size + 256);
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{},\"items\":[",
        Value::from(kind),
        Value::from(api_version),
        meta.to_value()
    );
    out.extend_from_slice(head.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&mut out, item);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// Objects as a Table; of a single object there is no list metadata.
pub(super) fn table(
    call: &Call,
    version: &str,
    items: &[Stored],
    meta: Option<&ListMeta>,
) -> Bytes {
    let parse = |it: &Stored| object::parse(&it.bytes, it.revision, &call.resource.api_version);
    let objects: Vec<Value> = items.iter().map(parse).collect();
    let metadata = match (meta, objects.first()) {
        (Some(meta), _) => meta.to_value(),
        (None, Some(one)) => json!({"resourceVersion": one["metadata"]["resourceVersion"]}),
        (None, None) => json!({}),
    };
    let tables = Tables::new(&call.resource, version, Include::parse(&call.options.include_object));
    tables.render(&objects, &metadata, true, call.state.now()).to_string().into()
}
