//! What of a stored object decides where it goes and what members get.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Field -> its JSON as stored.
type Fields<'a> = BTreeMap<&'a str, &'a str>;

/// All but the status, the resourceVersion and who wrote the status. Other managers count: what
/// they set decides what members get.
#[derive(Debug, PartialEq)]
pub(super) struct Essence<'a> {
    fields: Fields<'a>,
    metadata: Fields<'a>,
    managers: Vec<&'a str>,
}

/// `None` where it cannot be told so simply, as with keys that need escapes.
pub(super) fn of(object: &[u8]) -> Option<Essence<'_>> {
    #[derive(Deserialize)]
    struct FieldsEntry<'a> {
        subresource: Option<&'a str>,
    }
    let mut fields = read(str::from_utf8(object).ok()?)?;
    fields.remove("status");
    let mut metadata = read(fields.remove("metadata")?)?;
    metadata.remove("resourceVersion");
    let all = metadata.remove("managedFields").unwrap_or("[]");
    let all: Vec<&RawValue> = serde_json::from_str(all).ok()?;
    let of_status = |it: FieldsEntry<'_>| it.subresource == Some("status");
    let all = all.into_iter().map(RawValue::get);
    let managers = all.filter(|it| !serde_json::from_str(it).is_ok_and(of_status)).collect();
    Some(Essence { fields, metadata, managers })
}

fn read(object: &str) -> Option<Fields<'_>> {
    let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(object).ok()?;
    Some(fields.into_iter().map(|(key, value)| (key, value.get())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(other: &str, same: bool) {
        let object = r#"{"kind":"A","metadata":{"name":"a","resourceVersion":"1","managedFields":[{"manager":"x","fieldsV1":{"f:spec":{}}}]},"spec":{"a":1}}"#;
        assert_eq!(of(object.as_bytes()) == of(other.as_bytes()), same, "{other}");
    }

    #[test]
    fn only_a_status_is_not_of_the_essence() {
        let with = |version: u32, managers: &str, rest: &str| {
            format!(
                r#"{{"kind":"A","metadata":{{"name":"a","resourceVersion":"{version}","managedFields":[{managers}]}},{rest}}}"#
            )
        };
        let x = r#"{"manager":"x","fieldsV1":{"f:spec":{}}}"#;
        let status = r#"{"manager":"k","subresource":"status","fieldsV1":{"f:status":{}}}"#;
        check(&with(2, x, r#""spec":{"a":1},"status":{"b":2}"#), true);
        check(&with(2, &format!("{x},{status}"), r#""spec":{"a":1},"status":{"b":3}"#), true);
        check(&with(2, x, r#""spec":{"a":2}"#), false);
        check(&with(2, &x.replace('x', "y"), r#""spec":{"a":1}"#), false);
        check(&with(2, "", r#""spec":{"a":1}"#), false);
        check(&with(2, x, r#""data":{},"spec":{"a":1}"#), false);
    }
}
