//! OpenAPI v3 of what is served: an index, and a document for each group and version. Of
//! version 2 there is an empty document only.
//!
//! `schemas` writes types, `paths` operations, `document` puts both together. A
//! document is made when it is first asked for and kept while its kinds stay
//! the same; its hash depends on the kinds alone, so that the index costs no
//! document. Built-in types carry structure without prose; custom kinds keep theirs.

mod document;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    body::Body,
    encode::{typed, value},
    status::Failure,
};

/// The only form of version 2 that clients ask for.
const V2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is called in answers: an `@` is none of a media type's characters.
const V2_ANSWER: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// A document of version 2 that describes nothing, so that whoever would check objects by it
/// (kubectl does for what is in a List) leaves that to the server: swagger, info, paths, definitions.
const V2_DOCUMENT: &[u8] = b"\x0a\x032.0\x12\x0b\x0a\x05kogge\x12\x02v1\x42\x00\x4a\x00";

/// A kind as its documents need it.
#[expect(clippy::struct_field_names, reason = "a kind's kind is what Kubernetes calls it")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub plural: &'a str,
    pub namespaced: bool,
    /// Answered, never stored: POST only.
    pub create_only: bool,
    /// Deleted one by one only.
    pub no_collection: bool,
    pub status: bool,
    pub scale: bool,
    /// The OpenAPI schema of a custom kind; `None`: built in.
    pub schema: Option<&'a Value>,
}

impl Kind<'_> {
    /// `api/v1` or `apis/apps/v1`.
    fn place(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }

    fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// Documents that have been asked for, by place, with the hash of what they were made from.
#[derive(Debug, Default)]
pub(crate) struct OpenApi(Mutex<BTreeMap<String, (String, Bytes)>>);

impl OpenApi {
    /// Answers what is below `/openapi`; `path` is what comes after it.
    pub fn serve(
        &self,
        kinds: &[Kind],
        path: &[&str],
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        if path == ["v2"] && accepts(headers, V2) {
            return Ok(typed(200, V2_ANSWER, Body::whole(V2_DOCUMENT)));
        }
        if !accepts_json(headers) {
            let message = "only the following media types are accepted: application/json";
            return Err(Failure::new(406, "NotAcceptable", message));
        }
        match path {
            ["v3"] => Ok(value(200, &index(kinds), false)),
            ["v3", place @ ..] => self.document(kinds, &place.join("/"), headers),
            _ => Err(Failure::no_such_resource()),
        }
    }

    fn document(
        &self,
        kinds: &[Kind],
        place: &str,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Failure> {
        let kinds: Vec<Kind> = kinds.iter().copied().filter(|it| it.place() == place).collect();
        if kinds.is_empty() {
            return Err(Failure::no_such_resource());
        }
        let hash = hash(&kinds);
        let tag = format!("\"{hash}\"");
        let known = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok());
        let mut response = if known == Some(&tag) {
            typed(304, "application/json", Body::empty())
        } else {
            typed(200, "application/json", Body::whole(self.bytes(place, hash, &kinds)))
        };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        Ok(response)
    }

    fn bytes(&self, place: &str, hash: String, kinds: &[Kind]) -> Bytes {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, bytes)) = lock().get(place)
            && *known == hash
        {
            return bytes.clone();
        }
        // Two who ask at once do the work twice; nobody waits for it under the lock.
        let bytes = Bytes::from(document::document(kinds).to_string());
        lock().insert(place.to_owned(), (hash, bytes.clone()));
        bytes
    }
}

fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|it| it.split(';').next().is_some_and(|it| it.trim() == media))
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()) else {
        return true;
    };
    let media = |it: &str| it.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    accept.trim().is_empty()
        || accept
            .split(',')
            .map(media)
            .any(|it| matches!(it.as_str(), "application/json" | "application/*" | "*/*"))
}

fn index(kinds: &[Kind]) -> Value {
    let mut places: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        places.entry(kind.place()).or_default().push(*kind);
    }
    let paths: serde_json::Map<String, Value> = places
        .into_iter()
        .map(|(place, kinds)| {
            let url = format!("/openapi/v3/{place}?hash={}", hash(&kinds));
            (place, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

/// Of everything that the document of these kinds depends on.
fn hash(kinds: &[Kind]) -> String {
    let mut digest = Sha256::new();
    for kind in kinds {
        digest.update(format!(
            "{}\0{}\0{}\0{}\0{}{}{}{}\0",
            kind.group,
            kind.version,
            kind.kind,
            kind.plural,
            u8::from(kind.namespaced),
            u8::from(kind.create_only) + 2 * u8::from(kind.no_collection),
            u8::from(kind.status),
            u8::from(kind.scale),
        ));
        match kind.schema {
            Some(schema) => digest.update(schema.to_string()),
            // Built-in types change with the program only.
            None => digest.update(env!("CARGO_PKG_VERSION")),
        }
    }
    let mut hash = String::with_capacity(64);
    for byte in digest.finalize() {
        hash.push_str(&format!("{byte:02X}"));
    }
    hash
}
