//! Merging a configuration into a live value, and taking paths out of a value.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    path::Step,
    set::Set,
    shape::{Grain, Place, as_items, as_map, child, grain, item_step, item_steps, shared_grain},
};
use crate::schema::Type;

/// `config` wins leaf by leaf; what it does not speak of stays as it is in `live`.
pub fn merge(place: Place, live: &Value, config: &Value) -> Value {
    match shared_grain(place, Some(live), Some(config)) {
        Some(Grain::Map) => {
            let live = as_map(Some(live));
            // Two empty containers are leaves, so that null and `{}` stay apart.
            if live.is_empty() && as_map(Some(config)).is_empty() {
                return config.clone();
            }
            let mut out = live.clone();
            for (key, value) in as_map(Some(config)) {
                let merged = match live.get(key) {
                    Some(old) => merge(child(place, key).0, old, value),
                    None => value.clone(),
                };
                out.insert(key.clone(), merged);
            }
            Value::Object(out)
        }
        Some(Grain::List)
            if !(as_items(Some(live)).is_empty() && as_items(Some(config)).is_empty()) =>
        {
            Value::Array(merge_items(place, as_items(Some(live)), as_items(Some(config))))
        }
        _ => config.clone(),
    }
}

/// Items only in `live` keep their place; items in both come in `config`'s order; new ones
/// stand where `config` has them between those.
fn merge_items(place: Place, live: &[Value], config: &[Value]) -> Vec<Value> {
    let (live_steps, config_steps) = (item_steps(place, live), item_steps(place, config));
    let inner = place.and_then(Type::item);
    let in_live: BTreeMap<&Step, &Value> = live_steps.iter().zip(live).rev().collect();
    let in_config: BTreeMap<&Step, usize> =
        config_steps.iter().enumerate().map(|(at, step)| (step, at)).collect();

    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let mut taken = 0;
    let emit = |out: &mut Vec<Value>, at: usize| {
        let merged = match in_live.get(&config_steps[at]) {
            Some(old) => merge(inner, old, &config[at]),
            None => config[at].clone(),
        };
        out.push(merged);
    };
    for (step, item) in live_steps.iter().zip(live) {
        let Some(&wanted) = in_config.get(step) else {
            out.push(item.clone());
            continue;
        };
        // A shared item that is not the next shared one of config moves to where config has it.
        let next_shared = (taken..config.len()).find(|at| in_live.contains_key(&config_steps[*at]));
        if next_shared == Some(wanted) {
            while taken <= wanted {
                emit(&mut out, taken);
                taken += 1;
            }
        }
    }
    while taken < config.len() {
        emit(&mut out, taken);
        taken += 1;
    }
    out
}

/// `value` without the members of `set`. A container that loses its last content becomes what
/// `emptied` makes of it.
pub fn remove(place: Place, value: &Value, set: &Set, emptied: fn(&Value) -> Value) -> Value {
    if set.is_empty() {
        return value.clone();
    }
    let out = match (grain(place, value), value) {
        (Grain::Map, Value::Object(map)) if !map.is_empty() => {
            let kept = map.iter().filter_map(|(key, value)| {
                let kept = match set.get(&Step::field(key)) {
                    Some(node) if node.member => return None,
                    Some(node) => remove(child(place, key).0, value, &node.below, emptied),
                    None => value.clone(),
                };
                Some((key.clone(), kept))
            });
            Value::Object(kept.collect())
        }
        (Grain::List, Value::Array(items)) if !items.is_empty() => {
            let inner = place.and_then(Type::item);
            let kept = item_steps(place, items).into_iter().zip(items);
            let kept = kept.filter_map(|(step, item)| match set.get(&step) {
                Some(node) if node.member => None,
                Some(node) => Some(remove(inner, item, &node.below, emptied)),
                None => Some(item.clone()),
            });
            Value::Array(kept.collect())
        }
        _ => return value.clone(),
    };
    match &out {
        Value::Object(map) if map.is_empty() => emptied(&out),
        Value::Array(items) if items.is_empty() => emptied(&out),
        _ => out,
    }
}

/// Why `config` cannot be applied: a field the schema lacks, a wrong type, a list item without
/// its key or with the key of another. Messages begin with the path.
pub fn check(place: Place, config: &Value, path: &mut String, errors: &mut Vec<String>) {
    let Some(ty) = place else { return };
    if config.is_null() {
        return;
    }
    if let Some(expected) = expected(ty, config) {
        errors.push(format!("{path}: expected {expected}, got {}", type_name(config)));
        return;
    }
    match config {
        Value::Object(map) => {
            for (key, value) in map {
                let (inner, named) = child(place, key);
                let len = path.len();
                path.push_str(&Step::field(key).to_string());
                if ty.shape() == crate::schema::Shape::Object && !named && !ty.preserves_unknown() {
                    errors.push(format!("{path}: field not declared in schema"));
                } else {
                    check(inner, value, path, errors);
                }
                path.truncate(len);
            }
        }
        Value::Array(items) => check_items(ty, items, path, errors),
        _ => {}
    }
}

fn check_items(ty: Type, items: &[Value], path: &mut String, errors: &mut Vec<String>) {
    let keyed = grain(Some(ty), &Value::Array(Vec::new())) == Grain::List;
    let mut seen = std::collections::BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let step = if keyed {
            match item_step(Some(ty), item) {
                Ok(step) => step,
                Err(key) => {
                    errors.push(format!(
                        "{path}: element {at}: associative list with keys has an element that \
                         omits key field {key:?} (and doesn't have default value)"
                    ));
                    continue;
                }
            }
        } else {
            Step::Index(i64::try_from(at).unwrap_or(i64::MAX))
        };
        let len = path.len();
        if !seen.insert(step.clone()) {
            errors.push(format!("{path}: duplicate entries for key {step}"));
        }
        path.push_str(&step.to_string());
        check(ty.item(), item, path, errors);
        path.truncate(len);
    }
}

fn expected(ty: Type, value: &Value) -> Option<&'static str> {
    use crate::schema::Shape;
    let (fits, name) = match ty.shape() {
        Shape::Any => (true, ""),
        Shape::String => (value.is_string(), "string"),
        Shape::Integer | Shape::Number => (value.is_number(), "numeric (int or float)"),
        Shape::Boolean => (value.is_boolean(), "boolean"),
        // Quantities are declared as strings and written as numbers by many.
        Shape::IntOrString => (value.is_string() || value.is_number(), "string or number"),
        Shape::Object | Shape::Map => (value.is_object(), "map"),
        Shape::List => (value.is_array(), "list"),
    };
    (!fits).then_some(name)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}
