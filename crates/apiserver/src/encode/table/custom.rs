//! Columns of custom kinds, by `additionalPrinterColumns`.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    age::since,
    cells::{name, plain},
    jsonpath::JsonPath,
};
use crate::registry;

/// What kinds without columns of their own show.
static AGE: std::sync::LazyLock<registry::Column> = std::sync::LazyLock::new(|| registry::Column {
    name: "Age".into(),
    column_type: "date".into(),
    json_path: ".metadata.creationTimestamp".into(),
    ..registry::Column::default()
});

pub struct Column<'a> {
    pub column: &'a registry::Column,
    path: JsonPath,
}

pub fn columns(columns: &[registry::Column]) -> Vec<Column<'_>> {
    let of = |column| -> Column<'_> {
        Column { column, path: JsonPath::parse(&registry::Column::clone(column).json_path) }
    };
    if columns.is_empty() { vec![of(&AGE)] } else { columns.iter().map(of).collect() }
}

pub fn cells(columns: &[Column], object: &Value, now: Timestamp) -> Vec<Value> {
    let own = columns.iter().map(|it| cell(it, object, now));
    std::iter::once(name(object)).chain(own).collect()
}

/// Null where there is nothing to show, or something of another type.
fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let Some(value) = column.path.find(object).into_iter().next() else { return Value::Null };
    match column.column.column_type.as_str() {
        "string" => plain(value, "").into(),
        "integer" => match value.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "a cell shows whole numbers")]
            Some(number) => value.as_i64().unwrap_or(number as i64).into(),
            None => Value::Null,
        },
        "number" if value.is_number() => value.clone(),
        "boolean" if value.is_boolean() => value.clone(),
        "date" if value.is_string() => {
            since(value, now).unwrap_or_else(|| "<invalid>".into()).into()
        }
        _ => Value::Null,
    }
}
