//! Types as OpenAPI v3 schemas.

use serde_json::{Map, Value, json};

use crate::schema::{Format, ListKind, Shape, Type};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object type by its fields.
pub fn message(ty: Type) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in ty.fields() {
        properties.insert(field.name.to_owned(), place(field.ty));
        if field.required {
            required.push(field.name);
        }
    }
    let mut schema = json!({"type": "object"});
    if !properties.is_empty() {
        schema["properties"] = properties.into();
    }
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if ty.is_atomic() {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    schema
}

/// Scalars that clients know by a type's name.
pub fn well_known(ty: Type) -> Option<(&'static str, Value)> {
    const MACHINERY: [&str; 3] = [
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
    ];
    Some(match ty.format() {
        Format::Quantity => {
            (MACHINERY[0], json!({"oneOf": [{"type": "string"}, {"type": "number"}]}))
        }
        Format::IntOrString => (
            MACHINERY[1],
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        ),
        Format::Raw => (MACHINERY[2], json!({"type": "object"})),
        Format::Time => (
            "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
            json!({"type": "string", "format": "date-time"}),
        ),
        Format::MicroTime => (
            "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
            json!({"type": "string", "format": "date-time"}),
        ),
        Format::FieldsV1 => {
            ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", json!({"type": "object"}))
        }
        _ => return None,
    })
}

/// What stands at one place: a type with all that differs from use to use.
fn place(ty: Type) -> Value {
    let mut extra = Map::new();
    if let Some(default) = ty.default() {
        extra.insert("default".into(), default.clone());
    }
    if ty.shape() == Shape::List {
        list(ty, &mut extra);
    } else if ty.is_atomic() && ty.name().is_empty() {
        extra.insert("x-kubernetes-map-type".into(), "atomic".into());
    }
    let strategies: Vec<&str> = ["replace", "merge", "retainKeys"]
        .into_iter()
        .filter(|it| ty.has_patch_strategy(it))
        .collect();
    if !strategies.is_empty() {
        extra.insert("x-kubernetes-patch-strategy".into(), strategies.join(",").into());
    }
    if let Some(key) = ty.patch_merge_key() {
        extra.insert("x-kubernetes-patch-merge-key".into(), key.into());
    }
    let bare = bare(ty);
    match bare {
        // Beside a `$ref` nothing else counts.
        Value::Object(map) if map.contains_key("$ref") && !extra.is_empty() => {
            extra.insert("allOf".into(), vec![Value::Object(map)].into());
            extra.into()
        }
        Value::Object(mut map) => {
            map.extend(extra);
            map.into()
        }
        other => other,
    }
}

fn list(ty: Type, extra: &mut Map<String, Value>) {
    let mut say = |value: &str| {
        extra.insert("x-kubernetes-list-type".into(), value.into());
    };
    match ty.list_kind() {
        ListKind::Map(keys) => {
            say("map");
            let keys: Vec<&str> = keys.iter().map(|it| &**it).collect();
            extra.insert("x-kubernetes-list-map-keys".into(), keys.into());
        }
        ListKind::Set => say("set"),
        ListKind::Atomic if ty.has_list_type() => say("atomic"),
        ListKind::Atomic => {}
    }
}

fn bare(ty: Type) -> Value {
    if !ty.name().is_empty() {
        return reference(ty.name());
    }
    if let Some((name, _)) = well_known(ty) {
        return reference(name);
    }
    let item = || ty.item().map_or_else(|| json!({}), bare);
    match (ty.shape(), ty.format()) {
        (Shape::String, Format::Bytes) => json!({"type": "string", "format": "byte"}),
        (Shape::String, _) => json!({"type": "string"}),
        (Shape::Integer, Format::Int32) => json!({"type": "integer", "format": "int32"}),
        (Shape::Integer, _) => json!({"type": "integer", "format": "int64"}),
        (Shape::Number, _) => json!({"type": "number", "format": "double"}),
        (Shape::Boolean, _) => json!({"type": "boolean"}),
        (Shape::List, _) => json!({"type": "array", "items": item()}),
        (Shape::Map, _) => json!({"type": "object", "additionalProperties": item()}),
        (Shape::Object, _) => json!({"type": "object"}),
        (Shape::IntOrString | Shape::Any, _) => json!({}),
    }
}

/// A custom kind's own schema, with what every object has.
pub fn custom(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        // Free of form: nothing is known, so nothing is wrong.
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    let text = json!({"type": "string"});
    if schema["properties"].is_null() {
        schema["properties"] = json!({});
    }
    for (name, described) in [
        ("apiVersion", text.clone()),
        ("kind", text),
        ("metadata", json!({"allOf": [reference(&format!("{META}ObjectMeta"))]})),
    ] {
        schema["properties"][name] = described;
    }
    schema
}

pub fn custom_list(name: &str) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [reference(&format!("{META}ListMeta"))]},
            "items": {"type": "array", "items": {"allOf": [reference(name)]}},
        },
    })
}
