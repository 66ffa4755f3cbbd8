//! How a value at a place of a schema is owned: as one leaf, or member by member.

use serde_json::{Map, Value};

use super::path::{Scalar, Step};
use crate::schema::{ListKind, Shape, Type};

/// `None` where the schema is silent: maps are granular there and lists are leaves.
pub type Place<'a> = Option<Type<'a>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    Leaf,
    Map,
    List,
}

/// How `value` is owned at `place`. Null goes along with whatever the other side is.
pub fn grain(place: Place, value: &Value) -> Grain {
    let shape = place.map_or(Shape::Any, Type::shape);
    let atomic = place.is_some_and(Type::is_atomic);
    match (shape, value) {
        (Shape::Object | Shape::Map | Shape::Any, Value::Object(_)) if !atomic => Grain::Map,
        (Shape::List, Value::Array(_))
            if !atomic && place.map(Type::list_kind) != Some(ListKind::Atomic) =>
        {
            Grain::List
        }
        _ => Grain::Leaf,
    }
}

/// Both sides of a merge or comparison are walked as this; `None` when they disagree.
pub fn shared_grain(place: Place, left: Option<&Value>, right: Option<&Value>) -> Option<Grain> {
    let of = |it: Option<&Value>| it.filter(|it| !it.is_null()).map(|it| grain(place, it));
    match (of(left), of(right)) {
        (Some(a), Some(b)) => (a == b).then_some(a),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => Some(Grain::Leaf),
    }
}

/// The place of a key of a map, and whether the schema names that key.
pub fn child<'a>(place: Place<'a>, key: &str) -> (Place<'a>, bool) {
    let Some(ty) = place else { return (None, false) };
    match ty.shape() {
        Shape::Object => {
            let field = ty.field(key);
            (field, field.is_some())
        }
        Shape::Map => (ty.item(), false),
        _ => (None, false),
    }
}

/// The steps to the items of a granular list. An item without its key is known by its index.
pub fn item_steps(place: Place, items: &[Value]) -> Vec<Step> {
    let steps = items.iter().enumerate();
    steps
        .map(|(at, item)| {
            item_step(place, item).unwrap_or_else(|_| Step::Index(i64::try_from(at).unwrap_or(-1)))
        })
        .collect()
}

/// The step to one item of a granular list, or the key field that it lacks.
pub fn item_step<'a>(place: Place<'a>, item: &Value) -> Result<Step, &'a str> {
    let Some(ty) = place else { return Err("") };
    match ty.list_kind() {
        ListKind::Atomic => Err(""),
        ListKind::Set => Ok(Step::Value(Scalar::from(item))),
        ListKind::Map(keys) => {
            let mut pairs = Vec::with_capacity(keys.len());
            for key in keys {
                let default = || ty.item()?.field(key)?.default();
                let value = item.get(&**key).or_else(default).ok_or(&**key)?;
                pairs.push((&**key, value));
            }
            Ok(Step::key(pairs.into_iter()))
        }
    }
}

/// The map in `value`, or an empty one for null and absent.
pub fn as_map(value: Option<&Value>) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// The items in `value`, or none for null and absent.
pub fn as_items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Equal as Kubernetes sees it: numbers by value, so that `1` is `1.0`.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64() == b.as_f64() && !both_whole(a, b)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

/// Large whole numbers must not be compared as floats.
fn both_whole(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    !a.is_f64() && !b.is_f64()
}
