//! Strategic merge patch, for built-in kinds: lists merge by the key that the schema gives.
//!
//! Directives: `$patch` (`replace`, `delete`, `merge`), `$retainKeys`,
//! `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`. Custom kinds
//! have no strategic merge patch; the caller answers 415 for them.

use serde_json::{Map, Value};

use crate::{
    fields::shape::{Place, child},
    schema::{Shape, Type},
    status::Failure,
};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// 400 for a patch that is no object, or whose directives make no sense.
pub fn apply(live: &Value, patch: &Value, ty: Type) -> Result<Value, Failure> {
    let (Value::Object(live), Value::Object(patch)) = (live, patch) else {
        return Err(Failure::bad_request("error decoding patch: it must be a JSON object"));
    };
    merge_map(Some(ty), live, patch).map(Value::Object)
}

fn merge_map(
    place: Place,
    live: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    match directive(patch)? {
        Some(Directive::Replace) => return Ok(clean_map(patch)),
        Some(Directive::Delete) => return Ok(Map::new()),
        Some(Directive::Merge) | None => {}
    }
    let mut out = live.clone();
    if let Some(keep) = patch.get(RETAIN_KEYS) {
        retain_keys(&mut out, keep, patch)?;
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN_KEYS || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            delete_from(&mut out, list, value)?;
        } else if value.is_null() {
            out.remove(key);
        } else {
            let inner = child(place, key).0;
            let merged = match (out.get(key), value) {
                (Some(Value::Object(live)), Value::Object(patch)) => {
                    Value::Object(merge_map(inner, live, patch)?)
                }
                (Some(Value::Array(live)), Value::Array(patch)) if merges(inner) => {
                    Value::Array(merge_list(inner, live, patch, key)?)
                }
                (None, Value::Array(patch)) if merges(inner) => {
                    Value::Array(merge_list(inner, &[], patch, key)?)
                }
                _ => clean(value),
            };
            out.insert(key.clone(), merged);
        }
    }
    set_orders(place, live, patch, &mut out)?;
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Option<Directive>, Failure> {
    match patch.get(DIRECTIVE).map(|it| it.as_str().unwrap_or_default()) {
        None => Ok(None),
        Some("merge") => Ok(Some(Directive::Merge)),
        Some("replace") => Ok(Some(Directive::Replace)),
        Some("delete") => Ok(Some(Directive::Delete)),
        Some(other) => Err(Failure::bad_request(format!(
            "unable to parse strategic merge patch: unknown patch directive {other:?}"
        ))),
    }
}

fn merges(place: Place) -> bool {
    place.is_some_and(|it| it.shape() == Shape::List && it.has_patch_strategy("merge"))
}

fn retain_keys(
    out: &mut Map<String, Value>,
    keep: &Value,
    patch: &Map<String, Value>,
) -> Result<(), Failure> {
    let keep: Option<Vec<&str>> =
        keep.as_array().and_then(|it| it.iter().map(Value::as_str).collect());
    let keep = keep.ok_or_else(|| Failure::bad_request("$retainKeys must be a list of strings"))?;
    let stray = patch.iter().find(|(key, value)| {
        !key.starts_with('$') && !value.is_null() && !keep.contains(&key.as_str())
    });
    if let Some((key, _)) = stray {
        let message = format!("$retainKeys does not list {key:?}, which the patch sets");
        return Err(Failure::bad_request(message));
    }
    out.retain(|key, _| keep.contains(&key.as_str()));
    Ok(())
}

fn delete_from(out: &mut Map<String, Value>, list: &str, gone: &Value) -> Result<(), Failure> {
    let Value::Array(gone) = gone else {
        return Err(Failure::bad_request(format!("{DELETE_FROM}{list} must be a list")));
    };
    if let Some(Value::Array(items)) = out.get_mut(list) {
        items.retain(|it| !gone.contains(it));
    }
    Ok(())
}

fn merge_list(
    place: Place,
    live: &[Value],
    patch: &[Value],
    name: &str,
) -> Result<Vec<Value>, Failure> {
    let Some(key) = place.and_then(Type::patch_merge_key) else {
        let mut out = live.to_vec();
        for item in patch {
            if !out.contains(item) {
                out.push(item.clone());
            }
        }
        return Ok(in_order(out, patch, live, |it| Some(it.clone())));
    };
    let mut items = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let Value::Object(item) = item else {
            let message = format!("{name}: every item of this list must be an object");
            return Err(Failure::bad_request(message));
        };
        let directive = directive(item)?;
        // An item that only says `replace` puts the other items in place of the whole list.
        if directive == Some(Directive::Replace) && !item.contains_key(key) {
            replace = true;
        } else {
            items.push((item, directive));
        }
    }
    let inner = place.and_then(Type::item);
    let mut out = if replace { Vec::new() } else { live.to_vec() };
    for (item, directive) in items {
        let Some(id) = item.get(key) else {
            let item = Value::Object(item.clone());
            let message = format!("map: {item} does not contain declared merge key: {key}");
            return Err(Failure::bad_request(message));
        };
        let found = out.iter().position(|it| it.get(key) == Some(id));
        match (directive, found) {
            (Some(Directive::Delete), _) => out.retain(|it| it.get(key) != Some(id)),
            (_, Some(at)) => {
                if let Value::Object(live) = &out[at] {
                    out[at] = Value::Object(merge_map(inner, live, item)?);
                }
            }
            (_, None) => out.push(Value::Object(merge_map(inner, &Map::new(), item)?)),
        }
    }
    let id = |item: &Value| item.get(key).cloned();
    let ids = |items: &[Value]| -> Vec<Value> { items.iter().filter_map(id).collect() };
    Ok(in_order(out, &ids(patch), &ids(live), id))
}

fn set_orders(
    place: Place,
    live: &Map<String, Value>,
    patch: &Map<String, Value>,
    out: &mut Map<String, Value>,
) -> Result<(), Failure> {
    for (key, order) in patch {
        let Some(list) = key.strip_prefix(ORDER) else { continue };
        let merge_key = child(place, list).0.and_then(Type::patch_merge_key);
        let id = |item: &Value| match merge_key {
            Some(key) => item.get(key).cloned(),
            None => Some(item.clone()),
        };
        let ids =
            |items: &Value| -> Option<Vec<Value>> { items.as_array()?.iter().map(id).collect() };
        let bad = || {
            Failure::bad_request(format!("{key} must be a list of the items of {list}, in order"))
        };
        let order = ids(order).ok_or_else(bad)?;
        let live = live.get(list).and_then(ids).unwrap_or_default();
        if let Some(Value::Array(items)) = out.get_mut(list) {
            *items = in_order(std::mem::take(items), &order, &live, id);
        }
    }
    Ok(())
}

/// Items that `order` names come in its order; the others keep their place among them as far as
/// `live` tells it.
fn in_order(
    items: Vec<Value>,
    order: &[Value],
    live: &[Value],
    id: impl Fn(&Value) -> Option<Value>,
) -> Vec<Value> {
    let place_in = |list: &[Value], item: &Value| {
        let id = id(item)?;
        list.iter().position(|it| *it == id)
    };
    let (mut named, mut others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|it| place_in(order, it).is_some());
    named.sort_by_key(|it| place_in(order, it));
    others.sort_by_key(|it| place_in(live, it).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for other in others {
        let before = |it: &Value| match (place_in(live, &other), place_in(live, it)) {
            (Some(other), Some(it)) => other < it,
            _ => false,
        };
        while let Some(next) = named.next_if(|it| !before(it)) {
            out.push(next);
        }
        out.push(other);
    }
    out.extend(named);
    out
}

/// New content without nulls and directives, which have nothing to act on.
fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(clean_map(map)),
        Value::Array(items) => items.iter().map(clean).collect(),
        _ => value.clone(),
    }
}

fn clean_map(map: &Map<String, Value>) -> Map<String, Value> {
    let kept = map.iter().filter(|(key, value)| {
        let directive = *key == DIRECTIVE
            || *key == RETAIN_KEYS
            || key.starts_with(ORDER)
            || key.starts_with(DELETE_FROM);
        !directive && !value.is_null()
    });
    kept.map(|(key, value)| (key.clone(), clean(value))).collect()
}
