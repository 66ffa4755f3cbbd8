//! What many cells have in common.

use std::collections::BTreeMap;

use serde_json::Value;

pub const NONE: &str = "<none>";
pub const UNSET: &str = "<unset>";

pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub fn number(object: &Value, field: &str) -> i64 {
    object.get(field).and_then(Value::as_i64).unwrap_or(0)
}

pub fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub fn name(object: &Value) -> Value {
    text(&object["metadata"], "name").into()
}

/// `text`, or `other` where there is none.
pub fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// A string or a number as text, `other` where there is neither.
pub fn plain(value: &Value, other: &str) -> String {
    match value {
        Value::Null => other.to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

pub fn boolean(value: &Value, other: &str) -> String {
    match value {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        _ => other.into(),
    }
}

/// `kind/name`s of a list, texts of one field of each item, joined.
pub fn joined(items: &[Value], field: &str, with: &str) -> String {
    items.iter().map(|it| text(it, field)).collect::<Vec<_>>().join(with)
}

/// Names and images of a pod's containers.
pub fn containers(pod_spec: &Value) -> [Value; 2] {
    let containers = list(pod_spec, "containers");
    [joined(containers, "name", ",").into(), joined(containers, "image", ",").into()]
}

/// `a=b,c=d`.
pub fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", plain(value, ""))).collect();
    or(&pairs.join(","), NONE).to_owned()
}

/// A label selector in the form of a query, its terms in order of key.
pub fn selector(selector: &Value) -> String {
    let mut terms = BTreeMap::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms
            .entry(key.as_str())
            .or_insert_with(Vec::new)
            .push(format!("{key}={}", plain(value, "")));
    }
    for term in list(selector, "matchExpressions") {
        let key = text(term, "key");
        let mut values: Vec<&str> = list(term, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let said = match text(term, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        terms.entry(key).or_default().push(said);
    }
    let terms: Vec<String> = terms.into_values().flatten().collect();
    or(&terms.join(","), NONE).to_owned()
}

/// The first of a list, and how many more there are.
pub fn some(all: &[String], most: usize, with: &str) -> String {
    if all.len() <= most {
        return all.join(with);
    }
    format!("{} + {} more...", all[..most].join(with), all.len() - most)
}

/// `RWO,ROX`.
pub fn access_modes(modes: &[Value]) -> String {
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let found = short.iter().filter(|(long, _)| modes.iter().any(|it| it == long));
    found.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// The status of a condition of that type, empty where there is none.
pub fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = list(&object["status"], "conditions");
    conditions.iter().find(|it| it["type"] == kind).map_or("", |it| text(it, "status"))
}
