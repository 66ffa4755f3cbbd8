//! Messages to JSON objects, by the schema's field numbers.

use serde_json::{Map, Value};

use super::{
    ProtoError, WireError, scalar,
    wire::{Reader, Wire},
};
use crate::schema::{Format, NamedField, Shape, Type};

/// Deeper than any object that a person wrote; JSON bodies are bounded alike.
const DEEPEST: usize = 128;

pub fn read(ty: Type, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, ProtoError> {
    let mut object = Map::new();
    read_into(&mut object, ty, bytes, 0, depth)?;
    // A typed client writes every plain field, also where JSON would leave it out.
    for field in ty.fields() {
        if field.omit_empty && object.get(field.name).is_some_and(is_empty) {
            object.remove(field.name);
        }
    }
    Ok(object)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Fields of `bytes` into `object`; `prefix` is the path of the inlined message we are in, 0 at
/// the top.
fn read_into(
    object: &mut Map<String, Value>,
    ty: Type,
    bytes: &[u8],
    prefix: u32,
    depth: usize,
) -> Result<(), ProtoError> {
    if depth > DEEPEST {
        return Err(WireError::Depth.into());
    }
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        // A path has 10 bits a number; a larger number is no field we know.
        let Some(path) = Some(number).filter(|it| *it < 1024).map(|it| prefix << 10 | it) else {
            continue;
        };
        if let Some(field) = ty.fields().find(|it| it.path == path) {
            value_into(object, field, wire, depth).map_err(|error| at(field.name, error))?;
        } else if prefix < 1024
            && let Wire::Bytes(inner) = wire
            && ty.fields().any(|it| it.path >> 10 == path || it.path >> 20 == path)
        {
            read_into(object, ty, inner, path, depth + 1)?;
        }
    }
    Ok(())
}

/// The error of a part, behind the name of the field that has it.
fn at(name: &str, error: ProtoError) -> ProtoError {
    match error {
        ProtoError::Wire(wrong) => ProtoError::Field { field: name.to_owned(), wrong },
        ProtoError::Field { field, wrong } => {
            ProtoError::Field { field: format!("{name}.{field}"), wrong }
        }
        other => other,
    }
}

fn value_into(
    object: &mut Map<String, Value>,
    field: NamedField,
    wire: Wire,
    depth: usize,
) -> Result<(), ProtoError> {
    let entry = object.entry(field.name);
    let item = field.ty.item();
    match (field.ty.shape(), item) {
        (Shape::List, Some(item)) => {
            let list = entry.or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                append(list, item, wire, depth)?;
            }
        }
        (Shape::Map, Some(item)) => {
            let (key, value) = map_entry(item, wire.bytes()?, depth)?;
            let map = entry.or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key, value);
            }
        }
        _ => {
            let value = single(field.ty, wire, depth)?;
            // An empty message stands for no time at all.
            if !value.is_null() {
                *entry.or_insert(Value::Null) = value;
            }
        }
    }
    Ok(())
}

fn append(list: &mut Vec<Value>, item: Type, wire: Wire, depth: usize) -> Result<(), ProtoError> {
    let numbers = matches!(item.format(), Format::Int32 | Format::Int64);
    let Wire::Bytes(packed) = wire else {
        list.push(single(item, wire, depth)?);
        return Ok(());
    };
    if !numbers {
        list.push(single(item, wire, depth)?);
        return Ok(());
    }
    let mut reader = Reader::new(packed);
    while !reader.is_empty() {
        list.push(single(item, Wire::Varint(reader.varint()?), depth)?);
    }
    Ok(())
}

fn map_entry(item: Type, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtoError> {
    let mut key = String::new();
    let mut value = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => key = wire.text()?,
            2 => value = Some(map_value(item, wire, depth)?),
            _ => {}
        }
    }
    let value = match value {
        Some(value) => value,
        None => map_value(item, Wire::Bytes(&[]), depth).unwrap_or_default(),
    };
    Ok((key, value))
}

/// Lists as values of maps have a message around them (`ExtraValue`).
fn map_value(item: Type, wire: Wire, depth: usize) -> Result<Value, ProtoError> {
    let (Shape::List, Some(inner)) = (item.shape(), item.item()) else {
        return single(item, wire, depth);
    };
    let mut list = Vec::new();
    let mut reader = Reader::new(wire.bytes()?);
    while let Some((number, wire)) = reader.next()? {
        if number == 1 {
            append(&mut list, inner, wire, depth)?;
        }
    }
    Ok(Value::Array(list))
}

fn single(ty: Type, wire: Wire, depth: usize) -> Result<Value, ProtoError> {
    if ty.shape() == Shape::Object {
        return Ok(Value::Object(read(ty, wire.bytes()?, depth + 1)?));
    }
    scalar::read(ty, wire, depth + 1)
}
