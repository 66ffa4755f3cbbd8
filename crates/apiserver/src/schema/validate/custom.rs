//! Objects of custom kinds against their schema.
//!
//! What was stored already and did not change is not held against a writer
//! ("ratcheting"), so that a schema may become stricter.

use serde_json::Value;

use super::formats;
use crate::{
    schema::{Format, ListKind, Rules, Shape, Type, path::Path},
    status::Cause,
};

pub fn validate(ty: Type, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut walk = Walk { causes: Vec::new() };
    walk.value(ty, object, old, &Path::Root);
    walk.causes
}

struct Walk {
    causes: Vec<Cause>,
}

impl Walk {
    fn say(&mut self, reason: &'static str, path: &Path, message: String) {
        self.causes.push(Cause { reason, message, field: path.dotted() });
    }

    fn invalid(&mut self, path: &Path, value: &Value, why: &str) {
        let field = path.dotted();
        self.say(
            "FieldValueInvalid",
            path,
            format!("Invalid value: {value}: {field} in body {why}"),
        );
    }

    fn wrong_type(&mut self, path: &Path, found: &str, wanted: &str) {
        let field = path.dotted();
        let message = format!(
            "Invalid value: {found:?}: {field} in body must be of type {wanted}: {found:?}"
        );
        self.say("FieldValueTypeInvalid", path, message);
    }

    fn value(&mut self, ty: Type, value: &Value, old: Option<&Value>, path: &Path) {
        if old == Some(value) || (value.is_null() && ty.is_nullable()) {
            return;
        }
        if !has_type(ty, value) {
            return self.wrong_type(path, type_name(value), wanted(ty.shape()));
        }
        if let Some(rules) = ty.rules() {
            self.rules(ty, rules, value, path);
        }
        match value {
            Value::Object(map) => {
                if ty.is_embedded() {
                    self.embedded(value, path);
                }
                for (key, value) in map {
                    let old = old.and_then(|it| it.get(key));
                    if ty.shape() == Shape::Map {
                        if let Some(item) = ty.item() {
                            self.value(item, value, old, &path.key(key));
                        }
                    } else if let Some(field) = ty.field(key)
                        && field.name().is_empty()
                    {
                        self.value(field, value, old, &path.field(key));
                    }
                }
            }
            Value::Array(list) => self.list(ty, list, old, path),
            _ => {}
        }
    }

    fn embedded(&mut self, value: &Value, path: &Path) {
        for field in ["apiVersion", "kind"] {
            if value[field].as_str().is_none_or(str::is_empty) {
                let path = path.field(field);
                self.say("FieldValueRequired", &path, "Required value: must not be empty".into());
            }
        }
    }

    fn list(&mut self, ty: Type, list: &[Value], old: Option<&Value>, path: &Path) {
        let before = old.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let identity = |it: &Value| match ty.list_kind() {
            ListKind::Map(keys) => {
                let keys =
                    keys.iter().filter_map(|key| Some((key.to_string(), it.get(&**key)?.clone())));
                Some(Value::Object(keys.collect()))
            }
            ListKind::Set => Some(it.clone()),
            ListKind::Atomic => None,
        };
        let mut seen = std::collections::BTreeSet::new();
        for (index, value) in list.iter().enumerate() {
            let path = path.index(index);
            let id = identity(value);
            let same = id
                .as_ref()
                .and_then(|id| before.iter().find(|it| identity(it).as_ref() == Some(id)));
            if let Some(item) = ty.item() {
                self.value(item, value, same, &path);
            }
            if let Some(id) = id
                && !seen.insert(id.to_string())
            {
                self.say("FieldValueDuplicate", &path, format!("Duplicate value: {id}"));
            }
        }
    }

    fn rules(&mut self, ty: Type, rules: &Rules, value: &Value, path: &Path) {
        match value {
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    self.number(ty, rules, value, number, path);
                }
            }
            Value::String(text) => self.text(rules, value, text, path),
            Value::Array(list) => {
                let count = list.len() as u64;
                if let Some(least) = rules.min_items.filter(|it| count < *it) {
                    self.invalid(
                        path,
                        &count.into(),
                        &format!("should have at least {least} items"),
                    );
                }
                self.too_many(rules.max_items, count, path);
            }
            Value::Object(map) => {
                let count = map.len() as u64;
                if let Some(least) = rules.min_properties.filter(|it| count < *it) {
                    let why = format!("should have at least {least} properties");
                    self.invalid(path, &count.into(), &why);
                }
                self.too_many(rules.max_properties, count, path);
                for field in rules.required.iter().filter(|it| !map.contains_key(&***it)) {
                    let path = path.field(field);
                    self.say("FieldValueRequired", &path, "Required value".into());
                }
            }
            _ => {}
        }
        if !rules.one_of_values.is_empty() && !rules.one_of_values.contains(value) {
            let supported: Vec<String> =
                rules.one_of_values.iter().map(|it| format!("{:?}", plain(it))).collect();
            let message =
                format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
            self.say("FieldValueNotSupported", path, message);
        }
        self.branches(ty, rules, value, path);
    }

    fn too_many(&mut self, most: Option<u64>, count: u64, path: &Path) {
        if let Some(most) = most.filter(|it| count > *it) {
            let message = format!("Too many: {count}: must have at most {most} items");
            self.say("FieldValueTooMany", path, message);
        }
    }

    fn number(&mut self, ty: Type, rules: &Rules, value: &Value, number: f64, path: &Path) {
        if let Some(least) = rules.minimum {
            if number < least {
                self.invalid(path, value, &format!("should be greater than or equal to {least}"));
            } else if rules.exclusive_minimum && number <= least {
                self.invalid(path, value, &format!("should be greater than {least}"));
            }
        }
        if let Some(most) = rules.maximum {
            if number > most {
                self.invalid(path, value, &format!("should be less than or equal to {most}"));
            } else if rules.exclusive_maximum && number >= most {
                self.invalid(path, value, &format!("should be less than {most}"));
            }
        }
        if let Some(step) = rules.multiple_of.filter(|it| *it != 0.0)
            && (number / step).fract() != 0.0
        {
            self.invalid(path, value, &format!("should be a multiple of {step}"));
        }
        let narrow = ty.format() == Format::Int32;
        if narrow && value.as_i64().is_none_or(|it| i32::try_from(it).is_err()) {
            self.invalid(path, value, "must be of type integer with format int32");
        }
    }

    fn text(&mut self, rules: &Rules, value: &Value, text: &str, path: &Path) {
        let count = text.chars().count() as u64;
        if let Some(most) = rules.max_length.filter(|it| count > *it) {
            let message = format!("Too long: may not be more than {most} bytes");
            self.say("FieldValueTooLong", path, message);
        }
        if let Some(least) = rules.min_length.filter(|it| count < *it) {
            self.invalid(path, value, &format!("should be at least {least} chars long"));
        }
        if let Some(pattern) = rules.pattern.as_ref().filter(|it| !it.is_match(text)) {
            self.invalid(path, value, &format!("should match '{pattern}'"));
        }
        if !formats::fits(&rules.format, text) {
            self.wrong_type(path, text, &rules.format);
        }
    }

    fn branches(&mut self, ty: Type, rules: &Rules, value: &Value, path: &Path) {
        let wrong = |nodes: &[u32]| -> Vec<Vec<Cause>> {
            let each = nodes.iter().map(|node| {
                let mut walk = Walk { causes: Vec::new() };
                walk.value(ty.branch(*node), value, None, path);
                walk.causes
            });
            each.collect()
        };
        for causes in wrong(&rules.all_of) {
            self.causes.extend(causes);
        }
        let any = wrong(&rules.any_of);
        if !any.is_empty() && !any.iter().any(Vec::is_empty) {
            self.branch(path, "must validate at least one schema (anyOf)", any);
        }
        let one = wrong(&rules.one_of);
        let valid = one.iter().filter(|it| it.is_empty()).count();
        if !one.is_empty() && valid != 1 {
            let found = if valid == 0 {
                "none valid".into()
            } else {
                format!("{valid} valid alternatives")
            };
            let why = format!("must validate one and only one schema (oneOf). Found {found}");
            self.branch(path, &why, if valid == 0 { one } else { Vec::new() });
        }
        if rules.not.is_some_and(|it| wrong(&[it]).iter().all(Vec::is_empty)) {
            self.branch(path, "must not validate the schema (not)", Vec::new());
        }
    }

    /// With what is wrong in the branch that comes nearest.
    fn branch(&mut self, path: &Path, why: &str, branches: Vec<Vec<Cause>>) {
        // As Kubernetes has it: the message names the field, the cause does not.
        let message = format!("Invalid value: \"\": {:?} {why}", path.dotted());
        self.causes.push(Cause { reason: "FieldValueInvalid", message, field: "<nil>".into() });
        self.causes.extend(branches.into_iter().min_by_key(Vec::len).into_iter().flatten());
    }
}

fn has_type(ty: Type, value: &Value) -> bool {
    match ty.shape() {
        Shape::Any => true,
        Shape::String => value.is_string(),
        Shape::Boolean => value.is_boolean(),
        Shape::Number => value.is_number(),
        Shape::Integer => is_whole(value),
        Shape::IntOrString => value.is_string() || is_whole(value),
        Shape::Object | Shape::Map => value.is_object(),
        Shape::List => value.is_array(),
    }
}

/// `1.0` is a whole number too.
fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0)
}

fn wanted(shape: Shape) -> &'static str {
    match shape {
        Shape::Any => "any",
        Shape::String => "string",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
        Shape::IntOrString => "integer,string",
        Shape::Object | Shape::Map => "object",
        Shape::List => "array",
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_whole(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Strings without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
