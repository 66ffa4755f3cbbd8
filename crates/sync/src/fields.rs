//! FieldsV1, the field sets of managedFields, as JSON: `f:` a field, `k:` an element by its keys,
//! `v:` an element by its value, `i:` one by its index, `.` the place itself. An empty set at a
//! path is a leaf: the whole value.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::json::{list, text};

/// One manager's entry in managedFields.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub manager: &'a str,
    /// `Apply` or `Update`.
    pub operation: &'a str,
    pub subresource: &'a str,
    pub time: Option<Timestamp>,
    pub fields: &'a Value,
}

/// The entries of an object's managedFields.
pub fn entries(object: &Value) -> impl Iterator<Item = Entry<'_>> {
    list(object, "/metadata/managedFields").iter().map(|it| Entry {
        manager: text(it, "/manager"),
        operation: text(it, "/operation"),
        subresource: text(it, "/subresource"),
        time: text(it, "/time").parse().ok(),
        fields: it.get("fieldsV1").unwrap_or(&Value::Null),
    })
}

/// Where a leaf is: the keys of FieldsV1 from the root, as they are written there.
pub type Path<'a> = Vec<&'a str>;

/// Paths of everything owned: leaves, and places owned themselves (`.`).
pub fn paths(fields: &Value) -> BTreeSet<Path<'_>> {
    fn walk<'a>(fields: &'a Value, at: &mut Path<'a>, found: &mut BTreeSet<Path<'a>>) {
        let Some(children) = fields.as_object() else { return };
        if children.is_empty() {
            found.insert(at.clone());
        }
        for (key, child) in children {
            if key == "." {
                found.insert(at.clone());
                continue;
            }
            at.push(key);
            walk(child, at, found);
            at.pop();
        }
    }
    let mut found = BTreeSet::new();
    walk(fields, &mut Vec::new(), &mut found);
    // An empty set at the root owns nothing.
    found.remove(&Vec::new());
    found
}

/// Whether a field set has this path, or a leaf above it.
pub fn owns(fields: &Value, path: &[&str]) -> bool {
    let mut at = fields;
    for (depth, key) in path.iter().enumerate() {
        if 0 < depth && at.as_object().is_some_and(Map::is_empty) {
            return true;
        }
        match at.get(*key) {
            Some(child) => at = child,
            None => return false,
        }
    }
    at.as_object().is_some_and(|it| it.is_empty() || it.contains_key("."))
}

/// For people: `spec.template.spec.containers[name=web].image`.
pub fn show(path: &[&str]) -> String {
    let mut said = String::new();
    for key in path {
        let (kind, rest) = key.split_once(':').unwrap_or(("f", key));
        match kind {
            "f" if rest.contains(['.', '/']) => said += &["[", rest, "]"].concat(),
            "f" if said.is_empty() => said += rest,
            "f" => said += &[".", rest].concat(),
            "k" => said += &["[", &show_keys(rest), "]"].concat(),
            _ => said += &["[", rest.trim_matches('"'), "]"].concat(),
        }
    }
    said
}

fn show_keys(keys: &str) -> String {
    let parsed: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
    let pairs = parsed.iter().map(|(key, value)| match value {
        Value::String(text) => format!("{key}={text}"),
        other => format!("{key}={other}"),
    });
    pairs.collect::<Vec<_>>().join(",")
}

/// Everything that either set owns. A leaf takes in what is below it.
pub fn union(a: &Value, b: &Value) -> Value {
    let (Some(left), Some(right)) = (a.as_object(), b.as_object()) else {
        return if a.is_object() { a.clone() } else { b.clone() };
    };
    if left.is_empty() || right.is_empty() {
        return Value::Object(Map::new());
    }
    let mut all = left.clone();
    for (key, theirs) in right {
        let merged = left.get(key).map_or_else(|| theirs.clone(), |ours| union(ours, theirs));
        all.insert(key.clone(), merged);
    }
    Value::Object(all)
}

/// The part of `value` that a field set names. Elements named by keys keep those keys.
/// `None` if nothing of it is there.
pub fn select(fields: &Value, value: &Value) -> Option<Value> {
    let children = fields.as_object()?;
    if children.is_empty() {
        return Some(value.clone());
    }
    match value {
        Value::Object(all) => {
            let kept: Map<String, Value> = children
                .iter()
                .filter_map(|(key, child)| {
                    let name = key.strip_prefix("f:")?;
                    Some((name.to_owned(), select(child, all.get(name)?)?))
                })
                .collect();
            (!kept.is_empty() || children.contains_key(".")).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let elements = Elements::of(children);
            let kept: Vec<Value> =
                items.iter().enumerate().filter_map(|(i, it)| elements.select(i, it)).collect();
            (!kept.is_empty() || children.contains_key(".")).then_some(Value::Array(kept))
        }
        scalar => Some(scalar.clone()),
    }
}

/// The elements of a list that a field set names.
struct Elements<'a> {
    keyed: Vec<(Map<String, Value>, &'a Value)>,
    values: Vec<Value>,
    indices: Vec<(usize, &'a Value)>,
}

impl<'a> Elements<'a> {
    fn of(children: &'a Map<String, Value>) -> Self {
        let mut all = Self { keyed: Vec::new(), values: Vec::new(), indices: Vec::new() };
        for (key, child) in children {
            match key.split_once(':') {
                Some(("k", rest)) => {
                    all.keyed.extend(serde_json::from_str(rest).ok().map(|keys| (keys, child)));
                }
                Some(("v", rest)) => all.values.extend(serde_json::from_str::<Value>(rest).ok()),
                Some(("i", rest)) => all.indices.extend(rest.parse().ok().map(|i| (i, child))),
                _ => {}
            }
        }
        all
    }

    fn select(&self, index: usize, item: &Value) -> Option<Value> {
        if self.values.contains(item) {
            return Some(item.clone());
        }
        if let Some((_, child)) = self.indices.iter().find(|(i, _)| *i == index) {
            return select(child, item);
        }
        let (keys, child) = self.keyed.iter().find(|(keys, _)| matches(keys, item))?;
        let mut kept = select(child, item).unwrap_or_else(|| Value::Object(Map::new()));
        if let Value::Object(kept) = &mut kept {
            for name in keys.keys() {
                if let Some(value) = item.get(name) {
                    kept.insert(name.clone(), value.clone());
                }
            }
        }
        Some(kept)
    }
}

/// An element without a key field may have it by default (`protocol: TCP`).
fn matches(keys: &Map<String, Value>, item: &Value) -> bool {
    let there = |(name, want): (&String, &Value)| item.get(name).is_none_or(|it| it == want);
    item.is_object() && keys.iter().all(there) && keys.keys().any(|it| item.get(it).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(fields: &Value, value: &Value, want: &Value) {
        assert_eq!(select(fields, value).unwrap_or(Value::Null), *want);
    }

    #[test]
    fn selecting_takes_what_is_named_and_nothing_else() {
        check(&json!({"f:a": {}}), &json!({"a": 1, "b": 2}), &json!({"a": 1}));
        check(
            &json!({"f:a": {}}),
            &json!({"a": {"deep": [1]}, "b": 2}),
            &json!({"a": {"deep": [1]}}),
        );
        check(&json!({"f:a": {}}), &json!({"b": 2}), &Value::Null);
        check(&json!({"f:a": {".": {}}}), &json!({"a": {"x": 1}}), &json!({"a": {}}));
        check(
            &json!({"f:a": {".": {}, "f:x": {}}}),
            &json!({"a": {"x": 1, "y": 2}}),
            &json!({"a": {"x": 1}}),
        );
        check(&json!({"f:s": {"v:\"p\"": {}}}), &json!({"s": ["o", "p"]}), &json!({"s": ["p"]}));
        check(&json!({"f:s": {"i:1": {}}}), &json!({"s": ["o", "p"]}), &json!({"s": ["p"]}));
    }

    #[test]
    fn elements_are_found_by_their_keys_and_keep_them() {
        let fields = json!({"f:c": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}});
        let value = json!({"c": [
            {"name": "side", "image": "s"}, {"name": "web", "image": "w", "tty": true}]});
        check(&fields, &value, &json!({"c": [{"name": "web", "image": "w"}]}));
        let fields = json!({"f:p": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:containerPort": {}}}});
        check(
            &fields,
            &json!({"p": [{"containerPort": 80}]}),
            &json!({"p": [{"containerPort": 80}]}),
        );
        check(&fields, &json!({"p": [{"containerPort": 81}]}), &Value::Null);
    }

    #[test]
    fn a_union_owns_what_either_owns() {
        let both = union(&json!({"f:a": {"f:x": {}}}), &json!({"f:a": {"f:y": {}}, "f:b": {}}));
        assert_eq!(both, json!({"f:a": {"f:x": {}, "f:y": {}}, "f:b": {}}));
        assert_eq!(union(&json!({"f:a": {}}), &json!({"f:a": {"f:y": {}}})), json!({"f:a": {}}));
    }

    #[test]
    fn paths_are_shown_as_people_write_them() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/name": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}});
        let said: Vec<String> = paths(&fields).iter().map(|it| show(it)).collect();
        assert_eq!(
            said,
            [
                "metadata.labels",
                "metadata.labels[app.kubernetes.io/name]",
                "spec.template.spec.containers[name=web].image",
            ]
        );
    }

    #[test]
    fn owning_a_leaf_is_owning_what_is_below() {
        let fields = json!({"f:a": {}, "f:b": {"f:x": {}}, "f:c": {".": {}}});
        assert!(owns(&fields, &["f:a"]));
        assert!(owns(&fields, &["f:a", "f:deep"]));
        assert!(owns(&fields, &["f:b", "f:x"]));
        assert!(owns(&fields, &["f:c"]));
        assert!(!owns(&fields, &["f:b"]));
        assert!(!owns(&fields, &["f:b", "f:y"]));
        assert!(!owns(&json!({}), &["f:b"]));
    }
}
