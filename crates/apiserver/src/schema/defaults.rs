//! Defaults that a custom kind's schema gives.

use serde_json::{Map, Value};

use super::{Shape, Type};

/// Fills in the defaults of `ty`, also inside defaults and inside what is there already. Null is
/// replaced where the schema gives a default and null is no value.
pub fn apply(ty: Type, value: &mut Value) {
    match value {
        Value::Object(map) => object(ty, map),
        Value::Array(list) => {
            if let Some(item) = ty.item() {
                for value in list {
                    apply_item(item, value);
                }
            }
        }
        _ => {}
    }
}

fn apply_item(ty: Type, value: &mut Value) {
    if value.is_null()
        && !ty.is_nullable()
        && let Some(default) = ty.default()
    {
        *value = default.clone();
    }
    apply(ty, value);
}

fn object(ty: Type, map: &mut Map<String, Value>) {
    if ty.shape() == Shape::Map {
        if let Some(item) = ty.item() {
            for value in map.values_mut() {
                apply_item(item, value);
            }
        }
        return;
    }
    for field in ty.fields() {
        // Kubernetes' own fields have no defaults of their own here.
        if field.name == "metadata" && !field.ty.name().is_empty() {
            continue;
        }
        if let Some(default) = field.ty.default() {
            let is_missing = match map.get(field.name) {
                None => true,
                Some(value) => value.is_null() && !field.ty.is_nullable(),
            };
            if is_missing {
                map.insert(field.name.to_owned(), default.clone());
            }
        }
        if let Some(value) = map.get_mut(field.name) {
            apply(field.ty, value);
        }
    }
}
