//! The part of JSONPath that printer columns use.
//!
//! `.spec.a`, `['a.b']`, `[0]`, `[-1]`, `[*]`, `[?(@.type=="Ready")]`, `\.` in names. A path that
//! cannot be read finds nothing.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Elements whose field (by path) equals the value, or not.
    Where(Vec<String>, bool, Value),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonPath(Option<Vec<Step>>);

impl JsonPath {
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or(text);
        Self(steps(inner.strip_prefix('$').unwrap_or(inner)))
    }

    /// All that the path leads to, in order.
    pub fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let Some(steps) = &self.0 else { return Vec::new() };
        steps.iter().fold(vec![object], |found, step| {
            found.into_iter().flat_map(|it| follow(step, it)).collect()
        })
    }
}

fn follow<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match step {
        Step::Field(name) => value.get(name).filter(|it| !it.is_null()).into_iter().collect(),
        Step::Index(index) => {
            let Some(list) = value.as_array() else { return Vec::new() };
            let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let at = if *index < 0 { index + length } else { *index };
            usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
        }
        Step::All => match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        },
        Step::Where(path, equal, wanted) => {
            let picks = |it: &&Value| {
                let found = path.iter().try_fold(*it, |at, step| at.get(step));
                found.is_some_and(|found| (found == wanted) == *equal)
            };
            value.as_array().into_iter().flatten().filter(picks).collect()
        }
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = closing(inner)?;
            steps.push(bracket(inner[..end].trim())?);
            rest = &inner[end + 1..];
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (name, left) = word(rest);
        if name == "*" {
            steps.push(Step::All);
        } else if !name.is_empty() {
            steps.push(Step::Field(name));
        } else if left == rest {
            // `..` and the like.
            return None;
        }
        rest = left;
    }
    Some(steps)
}

/// A name up to the next step; a backslash takes the next letter as it is.
fn word(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|it| it.1)),
            '.' | '[' => return (name, &text[at..]),
            letter => name.push(letter),
        }
    }
    (name, "")
}

/// Where the bracket ends, past quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquoted(text) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|it| it.strip_suffix(')')) {
        let (left, right, equal) = match (filter.split_once("=="), filter.split_once("!=")) {
            (Some((left, right)), _) => (left, right, true),
            (None, Some((left, right))) => (left, right, false),
            (None, None) => return None,
        };
        let path = left.trim().strip_prefix('@')?.split('.').filter(|it| !it.is_empty());
        let right = right.trim();
        let wanted = match unquoted(right) {
            Some(text) => text.into(),
            None => serde_json::from_str(right).ok()?,
        };
        return Some(Step::Where(path.map(str::to_owned).collect(), equal, wanted));
    }
    text.parse().ok().map(Step::Index)
}

fn unquoted(text: &str) -> Option<&str> {
    let quoted = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    quoted('\'').or_else(|| quoted('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &Value) {
        let object = json!({
            "spec": {"a": 1, "l": [10, 20, 30], "m": {"x.y": "dot"}},
            "metadata": {"labels": {"app.io/name": "n"}},
            "status": {"conditions": [
                {"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let found: Vec<Value> = JsonPath::parse(path).find(&object).into_iter().cloned().collect();
        assert_eq!(Value::Array(found), *expected, "{path}");
    }

    #[test]
    fn paths_of_printer_columns() {
        check(".spec.a", &json!([1]));
        check("{.spec.a}", &json!([1]));
        check("spec.a", &json!([1]));
        check(".spec.l[1]", &json!([20]));
        check(".spec.l[-1]", &json!([30]));
        check(".spec.l[*]", &json!([10, 20, 30]));
        check(".spec.m['x.y']", &json!(["dot"]));
        check(".metadata.labels.app\\.io/name", &json!(["n"]));
        check(".status.conditions[?(@.type==\"Ready\")].status", &json!(["True"]));
        check(".status.conditions[?(@.type == 'Ready')].status", &json!(["True"]));
        check(".status.conditions[?(@.type!='Ready')].status", &json!(["False"]));
        check(".spec.nothing", &json!([]));
        check(".spec.l[9]", &json!([]));
    }

    #[test]
    fn a_path_that_cannot_be_read_finds_nothing() {
        check(".spec.l[", &json!([]));
        check(".spec.l[?(@.a)]", &json!([]));
        check("..a", &json!([]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[.\\[\\]?@()=*'\"\\\\a-c0-9é-]{0,24}") {
            drop(JsonPath::parse(&text).find(&json!({"a": [{"b": 1}]})));
        }
    }
}
