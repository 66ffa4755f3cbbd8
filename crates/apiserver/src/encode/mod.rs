//! What the client wants to read, and how answers are written.

mod accept;
mod events;
mod lists;
mod partial;
pub(crate) mod table;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use serde_json::Value;

pub(crate) use self::{
    accept::{Accept, Form},
    events::Events,
    lists::{ListMeta, list},
    partial::partial,
};
use crate::{body::Body, call::Call, object::served, status::Failure};

/// An object as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub bytes: Bytes,
    pub revision: u64,
}

/// One object, in the form the client asked for.
pub(crate) fn object(call: &Call, code: u16, stored: &Stored) -> Response<Body> {
    let bytes = match call.accept.form {
        Form::Object => served(&call.resource.head, &stored.bytes, stored.revision),
        Form::Metadata => partial(&stored.bytes, stored.revision).into(),
        Form::Table(version) => lists::table(call, version, std::slice::from_ref(stored), None),
    };
    respond(code, pretty(bytes, call.options.pretty))
}

/// A JSON value that is computed, not stored.
pub(crate) fn value(code: u16, value: &Value, pretty: bool) -> Response<Body> {
    let bytes = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    respond(code, bytes.expect("JSON always serialises into memory").into())
}

pub(crate) fn failure(failure: &Failure, pretty: bool) -> Response<Body> {
    let mut response = value(failure.code, &failure.to_status(), pretty);
    if let Some(seconds) = failure.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(crate) fn respond(code: u16, bytes: Bytes) -> Response<Body> {
    typed(code, "application/json", Body::whole(bytes))
}

pub(crate) fn typed(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// `Warning: 299 - "text"`, one for each.
pub(crate) fn add_warnings(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let clean: String = warning.chars().filter(|it| !it.is_control()).collect();
        let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

pub(crate) fn wants_pretty(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    crate::options::pairs(query).any(|(key, value)| key == "pretty" && value != "false")
}

pub(crate) fn pretty(bytes: Bytes, pretty: bool) -> Bytes {
    if !pretty {
        return bytes;
    }
    let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
    parsed.and_then(|it| serde_json::to_vec_pretty(&it).ok()).map_or(bytes, Bytes::from)
}
