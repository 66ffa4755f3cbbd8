//! Labels, and selectors over them.

use serde_json::Value;

use super::causes::{Causes, entries, list, text};
use crate::{names, schema::path::Path};

/// What `field` of `holder`, which is at `path`, has as labels.
pub fn labels(holder: &Value, field: &str, path: &Path, causes: &mut Causes) {
    for (key, value) in entries(holder, field) {
        if let Some(why) = names::label_key(key) {
            causes.invalid(path, &key.into(), why);
        }
        if let Some(why) = names::label_value(value.as_str().unwrap_or_default()) {
            causes.invalid(path, value, why);
        }
    }
}

pub fn selector(selector: &Value, path: &Path, causes: &mut Causes) {
    labels(selector, "matchLabels", &path.field("matchLabels"), causes);
    let expressions = path.field("matchExpressions");
    for (index, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let path = expressions.index(index);
        let values = path.field("values");
        match (text(expression, "operator"), list(expression, "values").is_empty()) {
            ("In" | "NotIn", true) => {
                causes.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            ("Exists" | "DoesNotExist", false) => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.forbidden(&values, why);
            }
            ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
            (other, _) => {
                let why = "not a valid selector operator";
                causes.invalid(&path.field("operator"), &other.into(), why);
            }
        }
    }
}

pub fn is_empty(selector: &Value) -> bool {
    entries(selector, "matchLabels").next().is_none()
        && list(selector, "matchExpressions").is_empty()
}

/// Whether a selector picks an object with these labels; an unknown operator picks nothing.
pub fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let exact = entries(selector, "matchLabels").all(|(key, value)| label(key) == value.as_str());
    exact
        && list(selector, "matchExpressions").iter().all(|it| {
            let value = label(text(it, "key"));
            let listed = || list(it, "values").iter().any(|it| it.as_str() == value);
            match text(it, "operator") {
                "In" => value.is_some() && listed(),
                "NotIn" => value.is_none() || !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
