//! Graphs of custom kinds, from the OpenAPI v3 schema of a CustomResourceDefinition.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    Format, Rules, Schema, Shape, builtin,
    graph::{Builder, Field, Flags, NONE, Node},
};
use crate::status::Cause;

impl Schema {
    /// The graph of `schema` as it stands. What is not understood there is free of form; whether a
    /// definition may say it, [`check`] tells.
    pub fn structural(schema: &Value) -> Self {
        let mut builder = Builder::default();
        let root = add(&mut builder, schema, false);
        builder.schema.root = root;
        builder.finish()
    }

    /// The graph of a kind: as [`Schema::structural`], with Kubernetes' own apiVersion, kind and
    /// metadata. A kind without a schema is free of form beside those.
    pub fn of_kind(schema: &Value) -> Self {
        let mut builder = Builder::default();
        let root = add(&mut builder, schema, true);
        builder.schema.root = root;
        builder.finish()
    }
}

fn add(builder: &mut Builder, schema: &Value, is_resource: bool) -> u32 {
    let Some(schema) = schema.as_object() else {
        let open = Node { flags: preserving(), ..Node::default() };
        return if is_resource { resource(builder, open, &Map::new()) } else { builder.node(open) };
    };
    let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let mut node = Node { shape: shape(schema), ..Node::default() };
    if schema.get("type").and_then(Value::as_str) == Some("integer") {
        node.format = integer_format(schema);
    }
    if node.shape == Shape::IntOrString {
        node.format = Format::IntOrString;
    }
    let embedded = is("x-kubernetes-embedded-resource");
    for (flag, set) in [
        (Flags::PRESERVE, is("x-kubernetes-preserve-unknown-fields")),
        (Flags::EMBEDDED, embedded),
        (Flags::NULLABLE, is("nullable")),
    ] {
        if set {
            node.flags.set(flag);
        }
    }
    extensions(builder, &mut node, schema);
    if let Some(item) = schema.get("items").or_else(|| schema.get("additionalProperties")) {
        // `additionalProperties: true` says as little as an empty schema.
        let item = if item.is_boolean() { &Value::Null } else { item };
        node.item = add(builder, item, false);
    }
    if let Some(default) = schema.get("default") {
        node.default = builder.value(default.clone());
    }
    let rules = rules(builder, schema);
    if let Some(rules) = rules {
        node.rules = builder.rules(rules);
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    if is_resource || embedded {
        return resource(builder, node, properties);
    }
    if !properties.is_empty() {
        let fields = fields(builder, properties);
        let name = builder.text(Cow::Borrowed(""));
        node.body = builder.body(name, fields, false);
    }
    builder.node(node)
}

fn preserving() -> Flags {
    let mut flags = Flags::default();
    flags.set(Flags::PRESERVE);
    flags
}

/// A node with `properties` and what every object has.
fn resource(builder: &mut Builder, mut node: Node, properties: &Map<String, Value>) -> u32 {
    let own: Map<String, Value> = properties
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    let mut fields = fields(builder, &own);
    let text = builder.node(Node { shape: Shape::String, ..Node::default() });
    let link = builtin().object_meta();
    let metadata = builder.node(Node { shape: Shape::Object, link, ..Node::default() });
    for (name, node) in [("apiVersion", text), ("kind", text), ("metadata", metadata)] {
        let name = builder.text(Cow::Borrowed(name));
        fields.push(Field { name, node, path: 0, required: false, omit_empty: false });
    }
    let name = builder.text(Cow::Borrowed(""));
    node.shape = Shape::Object;
    node.item = NONE;
    node.body = builder.body(name, fields, false);
    builder.node(node)
}

fn fields(builder: &mut Builder, properties: &Map<String, Value>) -> Vec<Field> {
    let mut fields = Vec::with_capacity(properties.len());
    for (name, schema) in properties {
        let node = add(builder, schema, false);
        let name = builder.text(Cow::Owned(name.clone()));
        fields.push(Field { name, node, path: 0, required: false, omit_empty: false });
    }
    fields
}

fn shape(schema: &Map<String, Value>) -> Shape {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return Shape::IntOrString;
    }
    let preserves = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Shape::String,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Boolean,
        Some("array") => Shape::List,
        Some("object") if schema.contains_key("additionalProperties") => Shape::Map,
        Some("object") if schema.contains_key("properties") || !preserves => Shape::Object,
        _ if schema.contains_key("properties") => Shape::Object,
        _ => Shape::Any,
    }
}

fn integer_format(schema: &Map<String, Value>) -> Format {
    match schema.get("format").and_then(Value::as_str) {
        Some("int32") => Format::Int32,
        _ => Format::Int64,
    }
}

fn extensions(builder: &mut Builder, node: &mut Node, schema: &Map<String, Value>) {
    let word = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    match word("x-kubernetes-list-type") {
        "set" => node.flags.set(Flags::LIST_SET),
        "map" => node.flags.set(Flags::LIST_MAP),
        "atomic" => node.flags.set(Flags::LIST_ATOMIC),
        _ => {}
    }
    if node.flags.has(Flags::LIST_MAP) {
        node.keys = builder.keys(texts(schema.get("x-kubernetes-list-map-keys")));
    }
    if word("x-kubernetes-map-type") == "atomic" {
        node.flags.set(Flags::ATOMIC);
    }
    let merge_key = word("x-kubernetes-patch-merge-key");
    if !merge_key.is_empty() {
        node.merge_key = builder.text(Cow::Owned(merge_key.to_owned()));
    }
    let strategies = word("x-kubernetes-patch-strategy").split(',');
    strategies.filter_map(Flags::strategy).for_each(|it| node.flags.set(it));
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn rules(builder: &mut Builder, schema: &Map<String, Value>) -> Option<Rules> {
    const KEYS: [&str; 20] = [
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "uniqueItems",
        "pattern",
        "format",
        "enum",
        "required",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ];
    if !KEYS.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let count = |key: &str| schema.get(key).and_then(Value::as_u64);
    let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let word = |key: &str| schema.get(key).and_then(Value::as_str);
    let mut branches = |key: &str| -> Vec<u32> {
        let all = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        all.map(|it| add(builder, it, false)).collect()
    };
    let (all_of, any_of, one_of) = (branches("allOf"), branches("anyOf"), branches("oneOf"));
    Some(Rules {
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: is("exclusiveMinimum"),
        exclusive_maximum: is("exclusiveMaximum"),
        multiple_of: number("multipleOf"),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        pattern: word("pattern").and_then(|it| Regex::new(it).ok()),
        format: word("format").unwrap_or_default().into(),
        one_of_values: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        required: texts(schema.get("required")).map(Into::into).collect(),
        all_of,
        any_of,
        one_of,
        not: schema.get("not").map(|it| add(builder, it, false)),
    })
}

/// Whether a CustomResourceDefinition may have this schema; `field` is where it stands there.
pub(crate) fn check(schema: &Value, field: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if schema["type"].as_str() != Some("object") {
        let said = schema["type"].as_str().unwrap_or_default();
        let message = match said {
            "" => "Required value: must not be empty at the root".to_owned(),
            said => format!("Invalid value: {said:?}: must be object at the root"),
        };
        let reason = if said.is_empty() { "FieldValueRequired" } else { "FieldValueInvalid" };
        causes.push(Cause { reason, message, field: format!("{field}.type") });
    }
    check_node(schema, field, true, &mut causes);
    causes
}

fn check_node(schema: &Value, field: &str, is_root: bool, causes: &mut Vec<Cause>) {
    let Some(map) = schema.as_object() else { return };
    let is = |key: &str| map.get(key) == Some(&Value::Bool(true));
    let mut say = |reason, part: &str, message: String| {
        causes.push(Cause { reason, message, field: format!("{field}{part}") });
    };
    let ty = map.get("type").and_then(Value::as_str).unwrap_or_default();
    let open = is("x-kubernetes-preserve-unknown-fields") || is("x-kubernetes-int-or-string");
    if !is_root && ty.is_empty() && !open {
        let message = "Required value: must not be empty for specified object fields";
        say("FieldValueRequired", ".type", message.into());
    }
    if !matches!(ty, "" | "string" | "integer" | "number" | "boolean" | "array" | "object") {
        let message = format!(
            "Unsupported value: {ty:?}: supported values: \"array\", \"boolean\", \"integer\", \
             \"number\", \"object\", \"string\""
        );
        say("FieldValueNotSupported", ".type", message);
    }
    for key in [
        "$ref",
        "definitions",
        "dependencies",
        "deprecated",
        "discriminator",
        "id",
        "patternProperties",
        "readOnly",
        "writeOnly",
        "xml",
    ] {
        if map.contains_key(key) {
            say(
                "FieldValueForbidden",
                &format!(".{key}"),
                format!("Forbidden: {key} is not supported"),
            );
        }
    }
    if map.contains_key("properties") && map.contains_key("additionalProperties") {
        let message = "Forbidden: additionalProperties and properties are mutual exclusive";
        say("FieldValueForbidden", ".additionalProperties", message.into());
    }
    if is("uniqueItems") {
        say("FieldValueForbidden", ".uniqueItems", "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic".into());
    }
    if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
        && let Err(error) = Regex::new(pattern)
    {
        let first = error.to_string().lines().last().unwrap_or_default().to_owned();
        let message = format!(
            "Invalid value: {pattern:?}: must be a valid regular expression, but isn't: {first}"
        );
        say("FieldValueInvalid", ".pattern", message);
    }
    if ty == "array" && !map.contains_key("items") {
        say("FieldValueRequired", ".items", "Required value: must be specified".into());
    }
    check_extensions(map, ty, field, causes);
    children(map, field, causes);
}

fn check_extensions(map: &Map<String, Value>, ty: &str, field: &str, causes: &mut Vec<Cause>) {
    let mut say = |reason, part: &str, message: String| {
        causes.push(Cause { reason, message, field: format!("{field}.{part}") });
    };
    let word = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
    let list_type = word("x-kubernetes-list-type");
    let keys: Vec<&str> = texts(map.get("x-kubernetes-list-map-keys")).collect();
    if !matches!(list_type, "" | "atomic" | "set" | "map") {
        let message = format!(
            "Unsupported value: {list_type:?}: supported values: \"atomic\", \"map\", \"set\""
        );
        say("FieldValueNotSupported", "x-kubernetes-list-type", message);
    }
    if !list_type.is_empty() && ty != "array" {
        let message =
            format!("Invalid value: {ty:?}: must be array if x-kubernetes-list-type is specified");
        say("FieldValueInvalid", "type", message);
    }
    if list_type == "map" && keys.is_empty() {
        let message = "Required value: must not be empty if x-kubernetes-list-type is map";
        say("FieldValueRequired", "x-kubernetes-list-map-keys", message.into());
    }
    let items = map.get("items").unwrap_or(&Value::Null);
    for key in keys {
        let property = &items["properties"][key];
        let required = texts(items.get("required")).any(|it| it == key);
        if property.is_null() {
            let message =
                format!("Invalid value: {key:?}: entries must all be names of item properties");
            say("FieldValueInvalid", "x-kubernetes-list-map-keys", message);
        } else if !required && property.get("default").is_none() {
            let part = format!("items.properties[{key}].default");
            let message = "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            say("FieldValueRequired", &part, message.into());
        }
    }
    let map_type = word("x-kubernetes-map-type");
    if !matches!(map_type, "" | "atomic" | "granular") {
        let message =
            format!("Unsupported value: {map_type:?}: supported values: \"atomic\", \"granular\"");
        say("FieldValueNotSupported", "x-kubernetes-map-type", message);
    }
    if map.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) && ty != "object" {
        let message = format!(
            "Invalid value: {ty:?}: must be object if x-kubernetes-embedded-resource is true"
        );
        say("FieldValueInvalid", "type", message);
    }
}

fn children(map: &Map<String, Value>, field: &str, causes: &mut Vec<Cause>) {
    for (name, schema) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        check_node(schema, &format!("{field}.properties[{name}]"), false, causes);
    }
    if let Some(schema) = map.get("additionalProperties") {
        check_node(schema, &format!("{field}.additionalProperties"), false, causes);
    }
    match map.get("items") {
        Some(Value::Array(_)) => causes.push(Cause {
            reason: "FieldValueForbidden",
            message: "Forbidden: items must be a schema object and not an array".into(),
            field: format!("{field}.items"),
        }),
        Some(schema) => check_node(schema, &format!("{field}.items"), false, causes),
        None => {}
    }
}
