//! An object of a built-in kind, as Kubernetes' typed decoder and encoder leave it.
//!
//! Wrong types are refused, unknown fields dropped (and told), nulls and empty
//! fields left out where Go leaves them out, quantities and times written in
//! their canonical form, and zero structs written where Go writes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_model::Quantity;
use serde_json::{Map, Value};

use super::{Format, Shape, Type, path::Path};

/// Why an object is not of its kind, in the words of kube-apiserver.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    #[error("json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {wanted}")]
    Type { found: String, owner: String, field: String, wanted: String },
    #[error("{field}: {why}")]
    Value { field: String, why: String },
}

/// Brings `object` into form and gives the paths of fields that its type does not have, as
/// `unknown field "spec.foo"`.
pub fn settle(ty: Type, object: &mut Value) -> Result<Vec<String>, TypeError> {
    let mut walk = Walk { unknown: Vec::new() };
    walk.value(ty, object, &Path::Root, "")?;
    Ok(walk.unknown)
}

struct Walk {
    unknown: Vec<String>,
}

impl Walk {
    /// `owner` is the innermost struct that has the field we are in.
    fn value(
        &mut self,
        ty: Type,
        value: &mut Value,
        path: &Path,
        owner: &str,
    ) -> Result<(), TypeError> {
        match (ty.shape(), &mut *value) {
            (Shape::Any, _) => Ok(()),
            (Shape::Object, Value::Object(map)) => self.object(ty, map, path),
            (Shape::Map, Value::Object(map)) => {
                let Some(item) = ty.item() else { return Ok(()) };
                for (key, value) in map.iter_mut() {
                    self.item(item, value, &path.key(key), owner)?;
                }
                Ok(())
            }
            (Shape::List, Value::Array(list)) => {
                let Some(item) = ty.item() else { return Ok(()) };
                for (index, value) in list.iter_mut().enumerate() {
                    self.item(item, value, &path.index(index), owner)?;
                }
                Ok(())
            }
            _ => scalar(ty, value, path, owner),
        }
    }

    /// Null as an item is Go's zero value.
    fn item(
        &mut self,
        ty: Type,
        value: &mut Value,
        path: &Path,
        owner: &str,
    ) -> Result<(), TypeError> {
        if value.is_null() {
            *value = zero(ty);
        }
        self.value(ty, value, path, owner)
    }

    fn object(
        &mut self,
        ty: Type,
        map: &mut Map<String, Value>,
        path: &Path,
    ) -> Result<(), TypeError> {
        let owner = ty.short_name();
        let mut gone = Vec::new();
        for (name, value) in map.iter_mut() {
            let here = path.field(name);
            let Some(field) = ty.named_field(name) else {
                self.unknown.push(format!("unknown field {:?}", here.to_string()));
                gone.push(name.clone());
                continue;
            };
            if !value.is_null() {
                self.value(field.ty, value, &here, owner)?;
            }
            if value.is_null() || (field.omit_empty && is_empty(value)) {
                gone.push(name.clone());
            }
        }
        for name in gone {
            map.remove(&name);
        }
        for field in ty.fields() {
            if let Some(default) = field.ty.default()
                && !map.contains_key(field.name)
                && !(field.omit_empty && is_empty(default))
            {
                let mut value = default.clone();
                self.value(field.ty, &mut value, &path.field(field.name), owner)?;
                map.insert(field.name.to_owned(), value);
            }
        }
        Ok(())
    }
}

fn zero(ty: Type) -> Value {
    match ty.shape() {
        Shape::Object | Shape::Map => Value::Object(Map::new()),
        Shape::List => Value::Array(Vec::new()),
        Shape::Integer | Shape::Number | Shape::IntOrString => 0.into(),
        Shape::Boolean => false.into(),
        Shape::String if ty.format() == Format::Quantity => "0".into(),
        Shape::String if ty.format() == Format::Plain => "".into(),
        Shape::String | Shape::Any => Value::Null,
    }
}

/// As `omitempty` sees it.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn scalar(ty: Type, value: &mut Value, path: &Path, owner: &str) -> Result<(), TypeError> {
    match (ty.format(), &mut *value) {
        (Format::Quantity, _) => return quantity(value, path),
        (Format::Time, Value::String(text)) => {
            *text = time(text, "%Y-%m-%dT%H:%M:%SZ", path)?;
            return Ok(());
        }
        (Format::MicroTime, Value::String(text)) => {
            *text = time(text, "%Y-%m-%dT%H:%M:%S%.6fZ", path)?;
            return Ok(());
        }
        (Format::Bytes, Value::String(text)) => return base64(text, path),
        _ => {}
    }
    let fits = match (ty.shape(), &*value) {
        (Shape::String | Shape::IntOrString, Value::String(_))
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Number, Value::Number(_)) => true,
        (Shape::Integer, Value::Number(number)) => {
            let whole = number.as_i64();
            let narrow = ty.format() == Format::Int32;
            whole.is_some_and(|it| !narrow || i32::try_from(it).is_ok())
        }
        (Shape::IntOrString, Value::Number(number)) => {
            number.as_i64().is_some_and(|it| i32::try_from(it).is_ok())
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(mismatch(ty, value, path, owner)) }
}

fn mismatch(ty: Type, value: &Value, path: &Path, owner: &str) -> TypeError {
    let found = match value {
        // Go says the number only where a number was wanted.
        Value::Number(number) if matches!(ty.shape(), Shape::Integer | Shape::IntOrString) => {
            format!("number {number}")
        }
        other => found(other).to_owned(),
    };
    TypeError::Type {
        found,
        owner: owner.to_owned(),
        field: path.fields_only(),
        wanted: go_type(ty),
    }
}

/// What a JSON value is, as Go's decoder says it.
fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(ty: Type) -> String {
    let inner = || ty.item().map_or_else(|| "interface {}".to_owned(), go_type);
    match (ty.shape(), ty.format()) {
        (Shape::Integer, Format::Int32) => "int32".into(),
        (Shape::Integer, _) => "int64".into(),
        (Shape::Number, _) => "float64".into(),
        (Shape::Boolean, _) => "bool".into(),
        (Shape::String, Format::Bytes) => "[]uint8".into(),
        (Shape::String, Format::Time | Format::MicroTime) => "time.Time".into(),
        (Shape::String, _) => "string".into(),
        (Shape::IntOrString, _) => "intstr.IntOrString".into(),
        (Shape::List, _) => format!("[]{}", inner()),
        (Shape::Map, _) => format!("map[string]{}", inner()),
        (Shape::Object, _) => {
            let mut words = ty.name().rsplit('.');
            let name = words.next().unwrap_or_default();
            format!("{}.{name}", words.next().unwrap_or_default())
        }
        (Shape::Any, _) => "interface {}".into(),
    }
}

fn wrong(path: &Path, why: &impl ToString) -> TypeError {
    TypeError::Value { field: path.to_string(), why: why.to_string() }
}

fn quantity(value: &mut Value, path: &Path) -> Result<(), TypeError> {
    let text = match &*value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        other => other.to_string(),
    };
    let parsed: Quantity = text.parse().map_err(|error| wrong(path, &error))?;
    *value = parsed.to_string().into();
    Ok(())
}

fn time(text: &str, format: &str, path: &Path) -> Result<String, TypeError> {
    let layout = "2006-01-02T15:04:05Z07:00";
    let at: Timestamp = text.parse().map_err(|_| {
        wrong(path, &format!("parsing time {text:?} as {layout:?}: cannot parse it"))
    })?;
    Ok(at.strftime(format).to_string())
}

fn base64(text: &mut String, path: &Path) -> Result<(), TypeError> {
    // Go's decoder passes over line ends.
    text.retain(|it| !matches!(it, '\n' | '\r'));
    match STANDARD.decode(&*text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => text.len(),
            };
            Err(wrong(path, &format!("illegal base64 data at input byte {at}")))
        }
    }
}
