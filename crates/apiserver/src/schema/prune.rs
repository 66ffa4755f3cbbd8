//! Fields of a custom kind that its schema does not name are taken out.

use serde_json::{Map, Value};

use super::{Shape, Type, builtin, path::Path, settle};

/// Takes out what the schema does not know, and nulls where null is no value; gives the paths as
/// `unknown field "spec.foo"`. Metadata is brought into Kubernetes' own form.
pub fn prune(ty: Type, object: &mut Value) -> Result<Vec<String>, settle::TypeError> {
    let mut unknown = Vec::new();
    if let Value::Object(map) = object {
        let metadata = builtin().message("apimachinery.pkg.apis.meta.v1.ObjectMeta");
        if let (Some(metadata), Some(value)) = (metadata, map.get_mut("metadata"))
            && value.is_object()
        {
            let found = settle::settle(metadata, value)?;
            unknown.extend(found.iter().map(|it| it.replacen('"', "\"metadata.", 1)));
        }
        fields(ty, map, &Path::Root, &mut unknown);
    }
    Ok(unknown)
}

fn walk(ty: Type, value: &mut Value, path: &Path, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => match ty.shape() {
            Shape::Map => {
                let Some(item) = ty.item() else { return };
                for (key, value) in map.iter_mut() {
                    walk(item, value, &path.key(key), unknown);
                }
            }
            Shape::Object => fields(ty, map, path, unknown),
            _ => {}
        },
        Value::Array(list) => {
            let Some(item) = ty.item() else { return };
            for (index, value) in list.iter_mut().enumerate() {
                walk(item, value, &path.index(index), unknown);
            }
        }
        _ => {}
    }
}

fn fields(ty: Type, map: &mut Map<String, Value>, path: &Path, unknown: &mut Vec<String>) {
    let mut gone = Vec::new();
    let is_root = matches!(path, Path::Root);
    for (name, value) in map.iter_mut() {
        let here = path.field(name);
        match ty.field(name) {
            // Done already, in Kubernetes' own form.
            Some(_) if is_root && name == "metadata" => {}
            Some(field)
                if value.is_null() && !field.is_nullable() && field.shape() != Shape::Any =>
            {
                gone.push(name.clone());
            }
            Some(field) => walk(field, value, &here, unknown),
            None if ty.preserves_unknown() => {}
            None => {
                unknown.push(format!("unknown field {:?}", here.to_string()));
                gone.push(name.clone());
            }
        }
    }
    for name in gone {
        map.remove(&name);
    }
}
