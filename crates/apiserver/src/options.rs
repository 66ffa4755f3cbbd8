//! The query of a request, and the DeleteOptions of its body.

use serde::Deserialize;

use crate::status::{Cause, Failure};

/// What to do about fields that the schema does not know, or that come twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// Every option of the query; each verb uses its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub dry_run: bool,
    pub field_manager: String,
    pub field_validation: FieldValidation,
    pub force: bool,
    pub label_selector: String,
    pub field_selector: String,
    /// 0: no limit.
    pub limit: usize,
    pub continue_token: String,
    pub resource_version: String,
    pub version_match: Option<VersionMatch>,
    pub watch: bool,
    pub bookmarks: bool,
    pub initial_events: Option<bool>,
    pub timeout_seconds: Option<u64>,
    pub pretty: bool,
    /// Of a Table: `None`, `Metadata` (the default) or `Object`.
    pub include_object: String,
    pub deletion: DeleteOptions,
}

/// How to delete: in the query, or as a body of kind DeleteOptions, which wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    pub grace_period_seconds: Option<i64>,
    pub propagation_policy: Option<String>,
    pub orphan_dependents: Option<bool>,
    pub preconditions: Option<Preconditions>,
    pub dry_run: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

impl Options {
    pub fn parse(query: &str) -> Result<Self, Failure> {
        let mut options = Self::default();
        for (key, value) in pairs(query) {
            options.set(&key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Failure> {
        match key {
            "dryRun" => self.dry_run = dry_run(&value)?,
            "fieldManager" => self.field_manager = field_manager(value)?,
            "fieldValidation" => self.field_validation = field_validation(&value)?,
            "force" => self.force = boolean(key, &value)?,
            "labelSelector" => self.label_selector = value,
            "fieldSelector" => self.field_selector = value,
            "limit" => self.limit = usize::try_from(integer(key, &value)?).unwrap_or(0),
            "continue" => self.continue_token = value,
            "resourceVersion" => self.resource_version = value,
            "resourceVersionMatch" => self.version_match = version_match(&value)?,
            "watch" => self.watch = boolean(key, &value)?,
            "allowWatchBookmarks" => self.bookmarks = boolean(key, &value)?,
            "sendInitialEvents" => self.initial_events = Some(boolean(key, &value)?),
            "timeoutSeconds" => {
                self.timeout_seconds =
                    u64::try_from(integer(key, &value)?).ok().filter(|it| *it > 0);
            }
            "pretty" => self.pretty = !matches!(value.as_str(), "false" | "0"),
            "includeObject" => self.include_object = value,
            "gracePeriodSeconds" => {
                self.deletion.grace_period_seconds = Some(integer(key, &value)?);
            }
            "propagationPolicy" => self.deletion.propagation_policy = Some(value),
            "orphanDependents" => self.deletion.orphan_dependents = Some(boolean(key, &value)?),
            _ => {}
        }
        Ok(())
    }
}

/// Decoded `key=value` pairs; of a key that comes twice, callers see both.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|it| !it.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(key), percent_decode(value))
    })
}

/// Percent and plus decoding of a query; a malformed escape stands for itself.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escaped) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

pub(crate) fn dry_run(value: &str) -> Result<bool, Failure> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        _ => Err(unsupported("dryRun", value, "\"All\"")),
    }
}

fn field_manager(value: String) -> Result<String, Failure> {
    if value.chars().count() > 128 {
        return Err(invalid_option("fieldManager", "Too long: may not be more than 128 bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid_option("fieldManager", "should only contain printable characters"));
    }
    Ok(value)
}

fn field_validation(value: &str) -> Result<FieldValidation, Failure> {
    match value {
        "" | "Warn" => Ok(FieldValidation::Warn),
        "Ignore" => Ok(FieldValidation::Ignore),
        "Strict" => Ok(FieldValidation::Strict),
        _ => Err(unsupported("fieldValidation", value, "\"Ignore\", \"Strict\", \"Warn\"")),
    }
}

fn version_match(value: &str) -> Result<Option<VersionMatch>, Failure> {
    match value {
        "" => Ok(None),
        "Exact" => Ok(Some(VersionMatch::Exact)),
        "NotOlderThan" => Ok(Some(VersionMatch::NotOlderThan)),
        _ => Err(unsupported("resourceVersionMatch", value, "\"Exact\", \"NotOlderThan\"")),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, Failure> {
    match value.to_ascii_lowercase().as_str() {
        // `?watch` alone means yes, as in Kubernetes.
        "" | "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err(Failure::bad_request(format!("{key}: {value:?} is not a boolean"))),
    }
}

fn integer(key: &str, value: &str) -> Result<i64, Failure> {
    value
        .parse()
        .map_err(|_| Failure::bad_request(format!("{key}: {value:?} is not a whole number")))
}

fn unsupported(field: &'static str, value: &str, supported: &str) -> Failure {
    invalid_option(field, &format!("Unsupported value: {value:?}: supported values: {supported}"))
}

fn invalid_option(field: &'static str, message: &str) -> Failure {
    let cause =
        Cause { reason: "FieldValueInvalid", message: message.into(), field: field.to_owned() };
    Failure::new(422, "Invalid", format!("{field}: {message}")).causes(vec![cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded() {
        let options =
            Options::parse("labelSelector=owner%3Dhelm%2Ca+in+(b)&limit=5&watch=1&dryRun=All")
                .unwrap();
        assert_eq!(options.label_selector, "owner=helm,a in (b)");
        assert_eq!((options.limit, options.watch, options.dry_run), (5, true, true));
        assert_eq!(options.field_validation, FieldValidation::Warn);
    }

    #[track_caller]
    fn refuse(query: &str, code: u16, word: &str) {
        let failure = Options::parse(query).unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains(word), "{}", failure.message);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_by_name() {
        refuse("dryRun=some", 422, "dryRun");
        refuse("fieldValidation=maybe", 422, "fieldValidation");
        refuse("limit=ten", 400, "limit");
        refuse("watch=maybe", 400, "watch");
        refuse("resourceVersionMatch=Newest", 422, "resourceVersionMatch");
    }

    #[test]
    fn a_broken_escape_stands_for_itself() {
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }
}
