//! Causes, as Kubernetes words each kind of them.

use serde_json::Value;

use crate::{schema::path::Path, status::Cause};

#[derive(Debug, Default)]
pub struct Causes(Vec<Cause>);

impl Causes {
    pub fn done(self) -> Vec<Cause> {
        self.0
    }

    fn push(&mut self, reason: &'static str, path: &Path, message: String) {
        self.0.push(Cause { reason, message, field: path.to_string() });
    }

    /// `detail` may be empty.
    pub fn required(&mut self, path: &Path, detail: &str) {
        let colon = if detail.is_empty() { "" } else { ": " };
        self.push("FieldValueRequired", path, format!("Required value{colon}{detail}"));
    }

    pub fn invalid(&mut self, path: &Path, value: &Value, why: impl AsRef<str>) {
        self.push("FieldValueInvalid", path, format!("Invalid value: {value}: {}", why.as_ref()));
    }

    pub fn unsupported(&mut self, path: &Path, value: &Value, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|it| format!("{it:?}")).collect();
        let message =
            format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        self.push("FieldValueNotSupported", path, message);
    }

    pub fn duplicate(&mut self, path: &Path, value: &Value) {
        self.push("FieldValueDuplicate", path, format!("Duplicate value: {value}"));
    }

    pub fn not_found(&mut self, path: &Path, value: &Value) {
        self.push("FieldValueNotFound", path, format!("Not found: {value}"));
    }

    pub fn too_long(&mut self, path: &Path, most: usize) {
        let message = format!("Too long: may not be more than {most} bytes");
        self.push("FieldValueTooLong", path, message);
    }

    pub fn forbidden(&mut self, path: &Path, why: &str) {
        self.push("FieldValueForbidden", path, format!("Forbidden: {why}"));
    }

    /// A text field that must be one of `supported`, or absent.
    pub fn one_of(&mut self, holder: &Value, path: &Path, field: &str, supported: &[&str]) {
        if let Some(value @ Value::String(said)) = holder.get(field)
            && !supported.contains(&said.as_str())
        {
            self.unsupported(&path.field(field), value, supported);
        }
    }

    /// A number that must not be negative, or absent.
    pub fn not_negative(&mut self, holder: &Value, path: &Path, field: &str) {
        if let Some(value) = holder.get(field)
            && value.as_i64().is_some_and(|it| it < 0)
        {
            self.invalid(&path.field(field), value, "must be greater than or equal to 0");
        }
    }
}

/// What `field` holds; empty where it is missing.
pub fn text<'a>(holder: &'a Value, field: &str) -> &'a str {
    holder.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub fn list<'a>(holder: &'a Value, field: &str) -> &'a [Value] {
    holder.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Names and values of a map; none where it is missing.
pub fn entries<'a>(holder: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let map = holder.get(field).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

pub fn has(holder: &Value, field: &str) -> bool {
    holder.get(field).is_some_and(|it| !it.is_null())
}
