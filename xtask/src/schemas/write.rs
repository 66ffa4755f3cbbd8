//! The table as text, one line for each thing:
//!
//! ```text
//! R group version Kind plural singular N|C shorts categories verbs subresources
//! M name [atomic] [group/version/Kind]         a message; its fields follow, indented by a space
//!  name[!][~] path type [lt=..] [lk=a,b] [mt=atomic] [pk=..] [ps=a,b] [=default]
//! ```
//! `-` stands for nothing. `!` marks required fields, `~` those
//! that are left out of JSON when empty. A path is a protobuf field number, or several
//! where messages are inlined in JSON (`2.7`), 0 where there is none. Types: `s i32 i64 f64 b bytes
//! time micro qty ios raw fields any`, JSONSchemaProps' own unions `json jarr jbool jstr`, `[T` a list, `{T` a map, `@name` a message.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::gotypes::Structs;
use super::proto::Messages;
use super::source::{Documents, Row};

/// What Kubernetes' Go modules say.
pub struct Types {
    pub messages: Messages,
    pub structs: Structs,
}

pub fn table(documents: &Documents, types: &Types, version: &str) -> anyhow::Result<String> {
    let mut out = format!("# Written by `cargo xtask schemas` from Kubernetes v{version}.\n");
    for row in &documents.resources {
        resource(&mut out, row)?;
    }
    for (name, schema) in &documents.schemas {
        if let Some(name) = name.strip_prefix("io.k8s.")
            && schema["properties"].is_object()
        {
            message(&mut out, name, schema, types)
                .with_context(|| format!("could not write {name}"))?;
        } else if name.starts_with("io.k8s.") && scalar(name).is_none() {
            message(&mut out, &name["io.k8s.".len()..], schema, types)?;
        }
    }
    Ok(out)
}

fn resource(out: &mut String, row: &Row) -> anyhow::Result<()> {
    let Row { group, version, resource } = row;
    let text = |key: &str| resource[key].as_str().unwrap_or_default();
    let scope = if text("scope") == "Namespaced" { "N" } else { "C" };
    let kind = resource["responseKind"]["kind"].as_str().context("a resource has a kind")?;
    let mut subresources = Vec::new();
    for part in resource["subresources"].as_array().into_iter().flatten() {
        let kind = &part["responseKind"];
        let word = |key: &str| kind[key].as_str().unwrap_or_default();
        let name = part["subresource"].as_str().unwrap_or_default();
        subresources.push(format!(
            "{name}={}/{}/{}:{}",
            word("group"),
            word("version"),
            word("kind"),
            verbs(&part["verbs"])
        ));
    }
    writeln!(
        out,
        "R {} {version} {kind} {} {} {scope} {} {} {} {}",
        dash(group),
        text("resource"),
        dash(text("singularResource")),
        joined(&resource["shortNames"]),
        joined(&resource["categories"]),
        verbs(&resource["verbs"]),
        dash(&subresources.join(",")),
    )?;
    Ok(())
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn joined(list: &Value) -> String {
    let words: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    dash(&words.join(",")).to_owned()
}

/// A letter for each verb; deletecollection is `D`.
fn verbs(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words
        .map(|it| if it == "deletecollection" { 'D' } else { it.chars().next().unwrap_or('-') })
        .collect()
}

fn message(out: &mut String, name: &str, schema: &Value, types: &Types) -> anyhow::Result<()> {
    write!(out, "M {name}")?;
    if schema["x-kubernetes-map-type"] == "atomic" {
        out.push_str(" atomic");
    }
    if let Some([kind]) = schema["x-kubernetes-group-version-kind"].as_array().map(Vec::as_slice) {
        let word = |key: &str| kind[key].as_str().unwrap_or_default();
        write!(out, " {}/{}/{}", word("group"), word("version"), word("kind"))?;
    }
    out.push('\n');
    let mut paths = BTreeMap::new();
    let known = schema["properties"].as_object();
    // Proto names differ in case at times: `uID`, `Webhooks`.
    let is_known = |field: &str| {
        known.and_then(|it| it.keys().find(|it| it.eq_ignore_ascii_case(field))).cloned()
    };
    let proto = format!("k8s.io.{}", name.replace('-', "_"));
    number(&proto, "", &types.messages, &is_known, &mut paths);
    let omitted = types.structs.omitted(name);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (field, schema) in known.into_iter().flatten() {
        let mark = if required.contains(&field.as_str()) { "!" } else { "" };
        let path = paths.get(field).map_or("0", String::as_str);
        let has_numbers = !paths.is_empty() && !matches!(field.as_str(), "apiVersion" | "kind");
        if path == "0" && has_numbers {
            eprintln!("no field number: {name}.{field}");
        }
        let mut ty = String::new();
        type_of(&mut ty, schema)?;
        let is_struct =
            ty.starts_with('@') || matches!(ty.as_str(), "time" | "micro" | "qty" | "ios");
        let omitted = if omitted.contains(field.as_str()) && !is_struct { "~" } else { "" };
        write!(out, " {field}{mark}{omitted} {path} {ty}")?;
        attributes(out, schema)?;
        out.push('\n');
    }
    Ok(())
}

/// How often messages are inlined in one another.
const DEEPEST: usize = 2;

/// Numbers of the fields that JSON has, those of inlined messages behind the number of the field
/// that holds them.
fn number(
    message: &str,
    prefix: &str,
    messages: &Messages,
    is_known: &impl Fn(&str) -> Option<String>,
    paths: &mut BTreeMap<String, String>,
) {
    let deep = prefix.matches('.').count();
    for field in messages.get(message).unwrap_or_default() {
        let path = format!("{prefix}{}", field.number);
        if let Some(name) = is_known(&field.name) {
            paths.entry(name).or_insert(path);
        } else if field.single && messages.get(&field.ty).is_some() && deep < DEEPEST {
            number(&field.ty, &format!("{path}."), messages, is_known, paths);
        }
    }
}

fn scalar(reference: &str) -> Option<&'static str> {
    Some(match reference.rsplit('.').next()? {
        "Quantity" => "qty",
        "IntOrString" => "ios",
        "Time" => "time",
        "MicroTime" => "micro",
        "FieldsV1" => "fields",
        "RawExtension" => "raw",
        "JSON" => "json",
        "JSONSchemaPropsOrArray" => "jarr",
        "JSONSchemaPropsOrBool" => "jbool",
        "JSONSchemaPropsOrStringArray" => "jstr",
        "Patch" => "any",
        _ => return None,
    })
}

fn type_of(out: &mut String, schema: &Value) -> anyhow::Result<()> {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let name = reference.rsplit('/').next().unwrap_or_default();
        match scalar(name) {
            Some(scalar) => out.push_str(scalar),
            None => write!(out, "@{}", name.strip_prefix("io.k8s.").context("a known prefix")?)?,
        }
        return Ok(());
    }
    let format = schema["format"].as_str().unwrap_or_default();
    match (schema["type"].as_str().unwrap_or_default(), format) {
        ("string", "byte") => out.push_str("bytes"),
        ("string", _) => out.push('s'),
        ("integer", "int32") => out.push_str("i32"),
        ("integer", _) => out.push_str("i64"),
        ("number", _) => out.push_str("f64"),
        ("boolean", _) => out.push('b'),
        ("array", _) => {
            out.push('[');
            type_of(out, &schema["items"])?;
        }
        ("object", _) if schema["additionalProperties"].is_object() => {
            out.push('{');
            type_of(out, &schema["additionalProperties"])?;
        }
        ("object" | "", _) => out.push_str("any"),
        (other, _) => bail!("a type {other}"),
    }
    Ok(())
}

fn attributes(out: &mut String, schema: &Value) -> anyhow::Result<()> {
    for (key, name) in [
        ("lt", "x-kubernetes-list-type"),
        ("mt", "x-kubernetes-map-type"),
        ("pk", "x-kubernetes-patch-merge-key"),
        ("ps", "x-kubernetes-patch-strategy"),
    ] {
        if let Some(value) = schema[name].as_str() {
            write!(out, " {key}={value}")?;
        }
    }
    if schema["x-kubernetes-list-map-keys"].is_array() {
        write!(out, " lk={}", joined(&schema["x-kubernetes-list-map-keys"]))?;
    }
    match &schema["default"] {
        Value::Null => {}
        default => write!(out, " ={default}")?,
    }
    Ok(())
}
