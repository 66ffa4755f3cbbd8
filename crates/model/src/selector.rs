//! Label and field selectors: read from objects or from the strings of the API's query parameters.

use crate::{Error, names};
use serde_json::Value;
use std::collections::BTreeMap;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The value is one of the values.
    In,
    /// The key is absent or its value is none of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above the one value.
    Gt,
    /// The value is an integer below the one value.
    Lt,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// The comparison.
    pub operator: Operator,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl Requirement {
    /// Whether `value`, what the label holds, meets it.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |v: &str| self.values.iter().any(|x| x == v);
        let number = |s: &str| s.parse::<i64>().ok();
        let than = || self.values.first().and_then(|v| number(v));
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => value.and_then(number).zip(than()).is_some_and(|(a, b)| a > b),
            Operator::Lt => value.and_then(number).zip(than()).is_some_and(|(a, b)| a < b),
        }
    }

    /// Reads `{key, operator, values}`; `Gt` and `Lt` only where `numeric`.
    pub fn from_value(value: &Value, numeric: bool) -> Result<Self, Error> {
        let key = value["key"].as_str().unwrap_or_default().to_owned();
        names::qualified_name(&key).map_err(|e| Error::new("key", e))?;
        let operator = match value["operator"].as_str() {
            Some("In") => Operator::In,
            Some("NotIn") => Operator::NotIn,
            Some("Exists") => Operator::Exists,
            Some("DoesNotExist") => Operator::DoesNotExist,
            Some("Gt") if numeric => Operator::Gt,
            Some("Lt") if numeric => Operator::Lt,
            other => {
                let word = other.unwrap_or_default();
                return Err(Error::new(
                    "operator",
                    format!("{word:?} is not a valid label selector operator"),
                ));
            }
        };
        let values: Vec<String> = value["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        let wrong = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                "must be specified when `operator` is 'In' or 'NotIn'"
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            }
            Operator::Gt | Operator::Lt if values.len() != 1 => {
                "must be specified single value when `operator` is 'Lt' or 'Gt'"
            }
            _ => return Ok(Self { key, operator, values }),
        };
        Err(Error::new("values", wrong))
    }
}

/// A label selector: all requirements must hold; without any it selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub Vec<Requirement>);

impl Selector {
    /// Whether `labels` meet every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|r| r.matches(labels.get(&r.key).map(String::as_str)))
    }

    /// Exactly these labels, as a `nodeSelector` or a Service's `selector`.
    pub fn of_labels(labels: &Labels) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        };
        Self(labels.iter().map(requirement).collect())
    }

    /// Reads `{matchLabels, matchExpressions}`; `{}` selects everything.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let mut all = Self::of_labels(&labels_of(&value["matchLabels"]));
        for r in &all.0 {
            names::qualified_name(&r.key)
                .map_err(|e| Error::new(format!("matchLabels[{}]", r.key), e))?;
        }
        for (at, expression) in
            value["matchExpressions"].as_array().into_iter().flatten().enumerate()
        {
            let read = Requirement::from_value(expression, false);
            all.0.push(read.map_err(|e| e.within(&format!("matchExpressions[{at}]")))?);
        }
        Ok(all)
    }

    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        split_outside_parentheses(text)
            .into_iter()
            .map(requirement_of)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The string members of a JSON object.
pub fn labels_of(value: &Value) -> Labels {
    let strings = value.as_object().into_iter().flatten();
    strings.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !(parts.is_empty() && text.trim().is_empty()) {
        parts.push(&text[start..]);
    }
    parts
}

fn requirement_of(part: &str) -> Result<Requirement, Error> {
    let part = part.trim();
    let fail = |why: String| Error::new(format!("{part:?}"), why);
    let (key, operator, values) = if let Some(key) = part.strip_prefix('!') {
        (key, Operator::DoesNotExist, Vec::new())
    } else if let Some((key, value)) = part.split_once("!=") {
        (key, Operator::NotIn, vec![value])
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (key, Operator::In, vec![value])
    } else if let Some((head, list)) = part.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(|| fail("expected ')' at the end".into()))?;
        let (key, word) = head.trim().rsplit_once(char::is_whitespace).unwrap_or(("", head));
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            other => return Err(fail(format!("found '{other}', expected: in, notin"))),
        };
        (key, operator, list.split(',').collect())
    } else if let Some((key, number)) = part.split_once('>') {
        (key, Operator::Gt, vec![number])
    } else if let Some((key, number)) = part.split_once('<') {
        (key, Operator::Lt, vec![number])
    } else {
        (part, Operator::Exists, Vec::new())
    };
    let key = key.trim();
    names::qualified_name(key).map_err(|e| fail(format!("key {key:?}: {e}")))?;
    let values: Vec<String> = values.into_iter().map(|v| v.trim().to_owned()).collect();
    for value in &values {
        names::label_value(value).map_err(|e| fail(format!("value {value:?}: {e}")))?;
        if matches!(operator, Operator::Gt | Operator::Lt) && value.parse::<i64>().is_err() {
            return Err(fail(format!(
                "value {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )));
        }
    }
    Ok(Requirement { key: key.to_owned(), operator, values })
}

/// A field selector: `metadata.name=x,spec.nodeName!=y`. Each term is path, wanted value, whether equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(pub Vec<(String, String, bool)>);

impl FieldSelector {
    /// Reads the API's string; `\,`, `\=` and `\\` stand for themselves.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = vec![String::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let term = terms.last_mut().expect("one from the start");
            match c {
                '\\' => term.extend(['\\'].into_iter().chain(chars.next())),
                ',' => terms.push(String::new()),
                c => term.push(c),
            }
        }
        let read = terms.iter().filter(|t| !t.is_empty()).map(|term| {
            let parts = term.split_once("!=").map(|(k, v)| (k, v, false)).or_else(|| {
                term.split_once("==").or_else(|| term.split_once('=')).map(|(k, v)| (k, v, true))
            });
            let (key, value, equal) = parts.ok_or_else(|| {
                Error::new(
                    term.clone(),
                    "invalid field selector: must be field=value or field!=value",
                )
            })?;
            Ok((key.to_owned(), unescaped(value).map_err(|e| Error::new(term.clone(), e))?, equal))
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the object's fields meet all terms; an absent field is the empty string.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, want, equal)| {
            let field = path.split('.').fold(object, |at, name| &at[name]);
            let have = match field {
                Value::String(s) => s.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            (have == *want) == *equal
        })
    }
}

fn unescaped(value: &str) -> Result<String, &'static str> {
    let (mut out, mut chars) = (String::new(), value.chars());
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                _ => return Err("invalid field selector: unknown escape sequence"),
            },
            ('=', _) => return Err("invalid field selector: unescaped character in value: ="),
            (c, _) => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(selector: &str, labels: &Value, want: bool) {
        let selector_read = Selector::parse(selector).unwrap();
        assert_eq!(selector_read.matches(&labels_of(labels)), want, "{selector} on {labels}");
    }

    #[test]
    fn label_selectors_select_as_kubectl_l_does() {
        let labels = json!({"a": "b", "e": "x", "n": "5"});
        check("", &labels, true);
        check("a=b", &labels, true);
        check("a==b,e in (x,y)", &labels, true);
        check("a!=b", &labels, false);
        check("c!=d", &labels, true);
        check("e notin (x)", &labels, false);
        check("e,!f", &labels, true);
        check("!e", &labels, false);
        check("n>4,n<6", &labels, true);
        check("n>5", &labels, false);
    }

    #[test]
    fn errors_name_the_part() {
        for (text, part) in [
            ("a=b,c in (x", "\"c in (x\""),
            ("a=b,-c", "\"-c\""),
            ("a of (b)", "'of'"),
            ("a=b!", "\"b!\""),
            ("a,,b", "\"\""),
        ] {
            let error = Selector::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(
            Selector::from_value(&json!({"matchExpressions": [{"key": "a", "operator": "In"}]}))
                .unwrap_err()
                .to_string()
                .starts_with("matchExpressions[0].values: ")
        );
    }

    #[test]
    fn field_selectors_look_into_the_object() {
        let object = json!({"metadata": {"name": "x"}, "spec": {"unschedulable": true}});
        for (text, want) in [
            ("metadata.name=x", true),
            ("metadata.name!=x", false),
            ("spec.unschedulable=true,spec.nodeName=", true),
            ("spec.nodeName!=n", true),
        ] {
            assert_eq!(FieldSelector::parse(text).unwrap().matches(&object), want, "{text}");
        }
        assert!(FieldSelector::parse("metadata.name").is_err());
    }
}
