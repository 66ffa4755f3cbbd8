//! Documents as Kubernetes objects: lists flattened, and each asked for what every object must have.

use serde_json::Value;

use super::{Document, Error, Reading, documents};

/// The objects of `text`, in order; the items of a `List` one by one, at the line of their list.
///
/// Each has apiVersion, kind and metadata.name (or, as kubectl reads, metadata.generateName).
pub fn objects(text: &str, reading: Reading) -> Result<Vec<Document>, Error> {
    let mut found = Vec::new();
    for (index, document) in documents(text, reading)?.into_iter().enumerate() {
        let line = document.line;
        flatten(document, None, reading, &mut found).map_err(|reason| Error {
            line,
            column: 1,
            reason: format!("document {}: {reason}", index + 1),
        })?;
    }
    Ok(found)
}

/// What the items of a typed list are when they do not say so themselves: `ConfigMapList` holds `ConfigMap`s.
#[derive(Clone)]
struct ItemKind {
    api_version: String,
    kind: String,
}

fn flatten(
    document: Document,
    inherited: Option<&ItemKind>,
    reading: Reading,
    found: &mut Vec<Document>,
) -> Result<(), String> {
    let Document { line, mut value } = document;
    let Some(fields) = value.as_object_mut() else {
        return Err(format!("{} where an object was expected", kind_of(&value)));
    };
    if let Some(ItemKind { api_version, kind }) = inherited {
        fields.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
        fields.entry("kind").or_insert_with(|| kind.as_str().into());
    }
    let api_version = required(&value, "/apiVersion", "apiVersion")?;
    let kind = required(&value, "/kind", "kind")?;
    let Some(item_kind) = kind.strip_suffix("List").filter(|_| value["items"].is_array()) else {
        check_name(&value, &kind, reading)?;
        found.push(Document { line, value });
        return Ok(());
    };
    let inherited =
        (!item_kind.is_empty()).then(|| ItemKind { api_version, kind: item_kind.to_owned() });
    let Value::Array(items) = value["items"].take() else { return Ok(()) };
    for (index, item) in items.into_iter().enumerate() {
        flatten(Document { line, value: item }, inherited.as_ref(), reading, found)
            .map_err(|reason| format!("items[{index}]: {reason}"))?;
    }
    Ok(())
}

fn check_name(value: &Value, kind: &str, reading: Reading) -> Result<(), String> {
    if reading == Reading::Kubectl && value.pointer("/metadata/generateName").is_some() {
        return Ok(());
    }
    required(value, "/metadata/name", "metadata.name")
        .map(drop)
        .map_err(|reason| format!("{kind}: {reason}"))
}

fn required(value: &Value, pointer: &str, field: &str) -> Result<String, String> {
    match value.pointer(pointer) {
        None | Some(Value::Null) => Err(format!("{field} is missing")),
        Some(Value::String(text)) if text.is_empty() => Err(format!("{field} is empty")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{field} must be a string, not {} ({other})", kind_of(other))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
