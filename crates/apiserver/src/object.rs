//! Objects as bytes: what is stored, and what is served.
//!
//! Stored is the whole JSON, `{"kind":..,"apiVersion":..,"metadata":{..` first,
//! without a resourceVersion: that is the store's to say. Serving puts kind,
//! apiVersion and resourceVersion in front without parsing. Everything that
//! reads or writes metadata of a parsed object goes through here.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

const METADATA: &[u8] = br#""metadata":{"#;

/// The bytes to store: head first, no resourceVersion.
pub(crate) fn to_stored(object: &Value, api_version: &str) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"kind\":");
    write(&mut out, &object["kind"]);
    out.extend_from_slice(b",\"apiVersion\":");
    write(&mut out, &api_version.into());
    out.extend_from_slice(b",\"metadata\":");
    write_object(&mut out, object["metadata"].as_object(), |it| it != "resourceVersion");
    for (key, value) in object.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            out.push(b',');
            write_pair(&mut out, key, value);
        }
    }
    out.push(b'}');
    out.into()
}

fn write_object(out: &mut Vec<u8>, object: Option<&Map<String, Value>>, keep: fn(&str) -> bool) {
    out.push(b'{');
    let fields = object.into_iter().flatten().filter(|(key, _)| keep(key));
    for (index, (key, value)) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_pair(out, key, value);
    }
    out.push(b'}');
}

fn write_pair(out: &mut Vec<u8>, key: &str, value: &Value) {
    serde_json::to_writer(&mut *out, key).expect("a string always serialises into memory");
    out.push(b':');
    write(out, value);
}

fn write(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("JSON always serialises into memory");
}

/// The head that every served object of one kind and version begins with.
pub(crate) fn head(api_version: &str, kind: &str) -> String {
    format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{{\"resourceVersion\":\"",
        Value::from(kind),
        Value::from(api_version)
    )
}

/// Appends stored bytes as they are served: with `head` and the revision.
pub(crate) fn write_served(out: &mut Vec<u8>, head: &str, stored: &[u8], revision: u64) {
    let tail = after_head(stored);
    out.reserve(head.len() + tail.len() + 24);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(revision.to_string().as_bytes());
    out.push(b'"');
    if !tail.starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(tail);
}

pub(crate) fn served(head: &str, stored: &[u8], revision: u64) -> Bytes {
    let mut out = Vec::new();
    write_served(&mut out, head, stored, revision);
    out.into()
}

/// What follows `"metadata":{`. Only kind and apiVersion come before it, and
/// neither can hold that text: both are checked names.
fn after_head(stored: &[u8]) -> &[u8] {
    let at = stored.windows(METADATA.len()).position(|window| window == METADATA);
    at.map_or(b"}}", |at| &stored[at + METADATA.len()..])
}

/// A stored object, parsed, with its resourceVersion.
pub(crate) fn parse(stored: &[u8], revision: u64, api_version: &str) -> Value {
    let mut object: Value = serde_json::from_slice(stored).unwrap_or_default();
    object["apiVersion"] = api_version.into();
    object["metadata"]["resourceVersion"] = revision.to_string().into();
    object
}

pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(crate) fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    object["metadata"][field] = value.into();
}

pub(crate) fn remove_meta(object: &mut Value, field: &str) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove(field)
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    let listed = object["metadata"]["finalizers"].as_array().into_iter().flatten();
    listed.filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    if finalizers.is_empty() {
        remove_meta(object, "finalizers");
    } else {
        set_meta(object, "finalizers", finalizers);
    }
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// RFC 3339 in whole seconds, as `metav1.Time`.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_served_as_it_was_stored_with_its_revision() {
        let object = json!({"spec": {"a": 1}, "metadata": {"name": "x", "resourceVersion": "7"},
            "apiVersion": "g/v1", "kind": "K"});
        let stored = to_stored(&object, "g/v1");
        assert_eq!(
            stored,
            r#"{"kind":"K","apiVersion":"g/v1","metadata":{"name":"x"},"spec":{"a":1}}"#
        );
        let served = served(&head("g/v2", "K"), &stored, 12);
        let parsed: Value = serde_json::from_slice(&served).unwrap();
        assert_eq!(
            parsed,
            json!({"kind": "K", "apiVersion": "g/v2", "spec": {"a": 1},
                "metadata": {"name": "x", "resourceVersion": "12"}})
        );
        assert_eq!(parsed, parse(&stored, 12, "g/v2"));
    }

    #[test]
    fn metadata_without_a_field_is_served_as_json_too() {
        let stored = to_stored(&json!({"kind": "K", "apiVersion": "v1", "metadata": {}}), "v1");
        let parsed: Value = serde_json::from_slice(&served(&head("v1", "K"), &stored, 1)).unwrap();
        assert_eq!(parsed["metadata"], json!({"resourceVersion": "1"}));
    }

    #[test]
    fn time_is_in_whole_seconds() {
        let at: Timestamp = "2024-05-06T07:08:09.9Z".parse().unwrap();
        assert_eq!(time(at), "2024-05-06T07:08:09Z");
    }
}
