//! What is kept of the status that a template had where it was: labels for its new place.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::policy::StateRule;

/// What the rules found, and what they did not, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub labels: BTreeMap<String, String>,
    pub missing: Vec<String>,
}

/// Reads each rule's field of a status. A field that is not there, or whose value cannot be a
/// label's, is named: without its state the new copy starts as a first one.
pub fn keep(rules: &[StateRule], status: &Value) -> Kept {
    let mut kept = Kept::default();
    for rule in rules {
        match find(&rule.json_path, status).map(|it| as_label(&it)) {
            Some(Some(value)) => drop(kept.labels.insert(rule.alias_label_name.clone(), value)),
            Some(None) => kept.missing.push(format!("{} is no label's value", rule.json_path)),
            None => kept.missing.push(format!("{} is not in its status", rule.json_path)),
        }
    }
    kept
}

/// `{.a.b[0].c}`, also without braces, keys in brackets quoted: `['a.b']`.
fn find(path: &str, status: &Value) -> Option<Value> {
    let path = path.trim();
    let path = path.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(path);
    let path = path.strip_prefix('$').unwrap_or(path);
    let mut here = status;
    for step in steps(path)? {
        here = match here {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            other => other.get(&step)?,
        };
    }
    Some(here.clone())
}

fn steps(path: &str) -> Option<Vec<String>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = inside.split_once(']')?;
            steps.push(step.trim_matches(['\'', '"']).to_owned());
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        if 0 < end {
            steps.push(rest[..end].to_owned());
        } else if !rest.starts_with('[') {
            return None;
        }
        rest = &rest[end..];
    }
    Some(steps)
}

/// At most 63 characters, letters, digits and `-_.`, the first and last a letter or digit.
fn as_label(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(it) => it.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return None,
    };
    let inner = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let ends = |it: &String| {
        it.starts_with(|it: char| it.is_ascii_alphanumeric())
            && it.ends_with(|it: char| it.is_ascii_alphanumeric())
    };
    let fits = text.len() <= 63 && text.chars().all(inner) && (text.is_empty() || ends(&text));
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, want: Result<&str, &str>) {
        let status = json!({"job": {"id": "a-1", "points": [{"n": 7}]}, "a.b": true, "x": "a b"});
        let rule = StateRule { alias_label_name: "l".into(), json_path: path.into() };
        let kept = keep(&[rule], &status);
        let got = kept.labels.get("l").cloned().ok_or_else(|| kept.missing.join(""));
        assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn fields_are_found_by_path() {
        check("{.job.id}", Ok("a-1"));
        check(".job.points[0].n", Ok("7"));
        check("{$.job.points[0].n}", Ok("7"));
        check("{['a.b']}", Ok("true"));
        check("{.job}", Err("{.job} is no label's value"));
        check("{.x}", Err("{.x} is no label's value"));
        check("{.nope}", Err("{.nope} is not in its status"));
        check("{.job..id}", Err("{.job..id} is not in its status"));
    }
}
