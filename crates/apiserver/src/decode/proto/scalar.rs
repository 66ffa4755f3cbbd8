//! Types with a form of their own: numbers, times, quantities, embedded JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Number, Value};

use super::{
    MAGIC, ProtoError, WireError, envelope, message,
    wire::{Reader, Wire},
};
use crate::schema::{Format, Shape, Type, builtin};

pub fn read(ty: Type, wire: Wire, depth: usize) -> Result<Value, ProtoError> {
    let value = match ty.format() {
        Format::Int32 | Format::Int64 => wire.varint()?.cast_signed().into(),
        Format::Double => match wire {
            Wire::Fixed64(bits) => double(f64::from_bits(bits)),
            _ => return Err(WireError::Type.into()),
        },
        Format::Bytes => STANDARD.encode(wire.bytes()?).into(),
        Format::Time => time(wire.bytes()?, "%Y-%m-%dT%H:%M:%SZ")?,
        Format::MicroTime => time(wire.bytes()?, "%Y-%m-%dT%H:%M:%S%.6fZ")?,
        Format::Quantity => quantity(wire.bytes()?)?,
        Format::IntOrString => int_or_string(wire.bytes()?)?,
        Format::Raw => raw(wire.bytes()?, depth)?,
        Format::FieldsV1 | Format::Json => json(wire.bytes()?)?,
        Format::SchemaOrArray | Format::SchemaOrBool | Format::SchemaOrStrings => {
            schema_or(ty.format(), wire.bytes()?, depth)?
        }
        Format::Plain if ty.shape() == Shape::Boolean => (wire.varint()? != 0).into(),
        Format::Plain if ty.shape() == Shape::String => wire.text()?.into(),
        // A type without any fields, such as a subresource's `status: {}`.
        Format::Plain => Value::Object(serde_json::Map::new()),
    };
    Ok(value)
}

/// Whole numbers without a point, as Go writes them.
fn double(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        return (value as i64).into();
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// Seconds and nanoseconds; an empty message is no time.
fn time(bytes: &[u8], format: &str) -> Result<Value, WireError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => seconds = wire.varint()?.cast_signed(),
            2 => nanos = i32::try_from(wire.varint()?).map_err(|_| WireError::Time)?,
            _ => {}
        }
    }
    let at = Timestamp::new(seconds, nanos).map_err(|_| WireError::Time)?;
    Ok(at.strftime(format).to_string().into())
}

fn quantity(bytes: &[u8]) -> Result<Value, WireError> {
    let mut text = String::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        if number == 1 {
            text = wire.text()?;
        }
    }
    Ok(if text.is_empty() { "0".into() } else { text.into() })
}

fn int_or_string(bytes: &[u8]) -> Result<Value, WireError> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((field, wire)) = reader.next()? {
        match field {
            1 => is_text = wire.varint()? == 1,
            2 => number = wire.varint()?.cast_signed(),
            3 => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// The bytes of field 1.
fn first(bytes: &[u8]) -> Result<&[u8], WireError> {
    let mut found = &[][..];
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        if number == 1 {
            found = wire.bytes()?;
        }
    }
    Ok(found)
}

fn json(bytes: &[u8]) -> Result<Value, WireError> {
    let raw = first(bytes)?;
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(raw).map_err(|_| WireError::Json)
}

fn raw(bytes: &[u8], depth: usize) -> Result<Value, ProtoError> {
    let raw = first(bytes)?;
    if raw.starts_with(MAGIC) { envelope(raw, depth + 1) } else { Ok(json(bytes)?) }
}

/// The unions of JSONSchemaProps: a schema, or else a list, a boolean or names.
fn schema_or(format: Format, bytes: &[u8], depth: usize) -> Result<Value, ProtoError> {
    let name = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let ty = builtin().message(name).ok_or(WireError::Type)?;
    let (mut schema, mut list, mut flag) = (None, Vec::new(), false);
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        match (format, number) {
            (Format::SchemaOrBool, 1) => flag = wire.varint()? != 0,
            (Format::SchemaOrBool, 2) | (_, 1) => {
                schema = Some(Value::Object(message::read(ty, wire.bytes()?, depth + 1)?));
            }
            (Format::SchemaOrArray, 2) => {
                list.push(Value::Object(message::read(ty, wire.bytes()?, depth + 1)?));
            }
            (_, 2) => list.push(wire.text()?.into()),
            _ => {}
        }
    }
    Ok(match (schema, format) {
        (Some(schema), _) => schema,
        (None, Format::SchemaOrBool) => flag.into(),
        (None, _) => Value::Array(list),
    })
}
