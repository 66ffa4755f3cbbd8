//! Label and field selectors: parsing, and matching without a full parse.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::Value;

use crate::status::Failure;

/// Which objects of a list or watch are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelTerm {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldTerm {
    path: Vec<String>,
    equal: bool,
    value: String,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

impl Selector {
    /// `selectable` says whether a field path may be asked for.
    pub fn parse(
        labels: &str,
        fields: &str,
        selectable: impl Fn(&str) -> bool,
    ) -> Result<Self, Failure> {
        let labels = parse_labels(labels)
            .map_err(|why| Failure::bad_request(format!("unable to parse requirement: {why}")))?;
        let fields = parse_fields(fields)?;
        for term in &fields {
            let path = term.path.join(".");
            if !selectable(&path) {
                return Err(Failure::bad_request(format!("field label not supported: {path}")));
            }
        }
        Ok(Self { labels, fields })
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The only name that can match, where the fields pin one.
    pub fn name(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|it| it.equal && it.path == ["metadata", "name"])
            .map(|it| it.value.as_str())
    }

    /// Whether an object's bytes match. Bytes that are no object never do.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        let Ok(Head { metadata }) = serde_json::from_slice::<Head<'_>>(bytes) else {
            return false;
        };
        let empty = BTreeMap::new();
        let labels = metadata.labels.as_ref().unwrap_or(&empty);
        let by_labels = self
            .labels
            .iter()
            .all(|term| term.matches(labels.get(term.key.as_str()).map(AsRef::as_ref)));
        by_labels && self.fields_match(&metadata, bytes)
    }

    fn fields_match(&self, metadata: &Meta<'_>, bytes: &[u8]) -> bool {
        let mut whole: Option<Value> = None;
        self.fields.iter().all(|term| {
            let path: Vec<&str> = term.path.iter().map(String::as_str).collect();
            let found = match path.as_slice() {
                ["metadata", "name"] => metadata.name.to_string(),
                ["metadata", "namespace"] => metadata.namespace.to_string(),
                path => {
                    let object = whole
                        .get_or_insert_with(|| serde_json::from_slice(bytes).unwrap_or_default());
                    text_at(object, path)
                }
            };
            (found == term.value) == term.equal
        })
    }
}

/// A scalar at a path as selectors see it; what is not there is the empty text.
fn text_at(object: &Value, path: &[&str]) -> String {
    match path.iter().try_fold(object, |at, field| at.get(field)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(_) | Value::Number(_)) => {
            path.iter().fold(object, |at, field| &at[*field]).to_string()
        }
        // Events say it in one of two places, by their age.
        Some(Value::Object(_)) if path == ["source"] => text_at(object, &["source", "component"]),
        None | Some(Value::Null) if path == ["reportingComponent"] => {
            text_at(object, &["source", "component"])
        }
        // What is not said has the zero value of its type.
        _ => match path.last() {
            Some(&("unschedulable" | "hostNetwork")) => "false".into(),
            Some(&("replicas" | "successful")) => "0".into(),
            _ => String::new(),
        },
    }
}

impl LabelTerm {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|it| it.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|it| values.iter().any(|one| one == it)),
            Test::NotIn(values) => value.is_none_or(|it| values.iter().all(|one| one != it)),
            Test::Greater(than) => number().is_some_and(|it| it > *than),
            Test::Less(than) => number().is_some_and(|it| it < *than),
        }
    }
}

fn parse_labels(text: &str) -> Result<Vec<LabelTerm>, String> {
    split_outside_brackets(text)
        .into_iter()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(parse_label_term)
        .collect()
}

fn parse_label_term(term: &str) -> Result<LabelTerm, String> {
    if let Some((key, values)) = set_term(term) {
        let (key, negated) = match key.strip_suffix(" notin") {
            Some(key) => (key, true),
            None => (key.strip_suffix(" in").ok_or_else(|| format!("{term:?}"))?, false),
        };
        let values = values.split(',').map(|it| it.trim().to_owned()).collect();
        let test = if negated { Test::NotIn(values) } else { Test::In(values) };
        return label_term(key, test);
    }
    for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = term.split_once(operator) {
            let values = vec![label_value(value)?];
            let test = if negated { Test::NotIn(values) } else { Test::In(values) };
            return label_term(key, test);
        }
    }
    for (operator, make) in
        [('>', Test::Greater as fn(i64) -> Test), ('<', Test::Less as fn(i64) -> Test)]
    {
        if let Some((key, value)) = term.split_once(operator) {
            let number = value.trim().parse().map_err(|_| format!("{term:?} is not a number"))?;
            return label_term(key, make(number));
        }
    }
    match term.strip_prefix('!') {
        Some(key) => label_term(key, Test::Absent),
        None => label_term(term, Test::Exists),
    }
}

/// `key in (a, b)` as `key in` and `a, b`.
fn set_term(term: &str) -> Option<(&str, &str)> {
    let (before, rest) = term.split_once('(')?;
    Some((before.trim(), rest.strip_suffix(')')?))
}

fn label_term(key: &str, test: Test) -> Result<LabelTerm, String> {
    let key = key.trim();
    let good = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
    if key.is_empty() || !key.chars().all(good) {
        return Err(format!("{key:?} is no label key"));
    }
    Ok(LabelTerm { key: key.to_owned(), test })
}

fn label_value(value: &str) -> Result<String, String> {
    let value = value.trim();
    let good = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    if value.len() > 63 || !value.chars().all(good) {
        return Err(format!("{value:?} is no label value"));
    }
    Ok(value.to_owned())
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|it| {
        match it {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        it == ',' && depth == 0
    })
    .collect()
}

fn parse_fields(text: &str) -> Result<Vec<FieldTerm>, Failure> {
    let mut terms = Vec::new();
    for term in text.split(',').filter(|it| !it.is_empty()) {
        let found = [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find_map(|(operator, equal)| Some((term.split_once(operator)?, equal)));
        let Some(((path, value), equal)) = found else {
            return Err(Failure::bad_request(format!(
                "invalid field selector: {term:?}; can't understand it"
            )));
        };
        let path = path.split('.').map(str::to_owned).collect();
        terms.push(FieldTerm { path, equal, value: value.to_owned() });
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"metadata":{"name":"web","namespace":"shop","labels":
        {"app":"web","tier":"2","x.io/y":""}},"spec":{"nodeName":"n1","unset":null},
        "source":{"component":"kubelet"}}"#;

    #[track_caller]
    fn check(labels: &str, fields: &str, expected: bool) {
        let selector = Selector::parse(labels, fields, |_| true).unwrap();
        assert_eq!(selector.matches(OBJECT.as_bytes()), expected, "{labels} {fields}");
    }

    #[test]
    fn label_selectors_match_as_in_kubernetes() {
        check("", "", true);
        check("app=web", "", true);
        check("app==web,tier=2", "", true);
        check("app!=web", "", false);
        check("none!=web", "", true);
        check("app in (a, web),tier", "", true);
        check("app notin (a,web)", "", false);
        check("!none", "", true);
        check("!app", "", false);
        check("tier>1,tier<3", "", true);
        check("x.io/y=", "", true);
    }

    #[test]
    fn field_selectors_match_as_in_kubernetes() {
        check("", "metadata.name=web", true);
        check("", "metadata.name!=web", false);
        check("", "metadata.name=web,metadata.namespace=shop", true);
        check("", "spec.nodeName=n1", true);
        check("", "spec.nodeName=", false);
        check("", "spec.other=", true);
        check("", "spec.unschedulable=false,status.successful=0", true);
        check("", "source=kubelet,reportingComponent=kubelet", true);
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_refused() {
        for (labels, fields) in
            [("a=b=c d", ""), ("a b", ""), ("app in web", ""), ("", "name"), ("a>x", "")]
        {
            let failure = Selector::parse(labels, fields, |_| true).unwrap_err();
            assert_eq!(failure.code, 400, "{labels} {fields}");
        }
        let failure = Selector::parse("", "spec.secret=1", |_| false).unwrap_err();
        assert_eq!(failure.message, "field label not supported: spec.secret");
    }
}
