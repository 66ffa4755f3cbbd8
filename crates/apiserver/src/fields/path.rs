//! One step of a path into an object, as `managedFields` writes it.

use std::{cmp::Ordering, fmt};

use serde_json::Value;

/// Which child of a map or list. The order is the one field sets are written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `f:replicas`
    Field(Box<str>),
    /// `k:{"name":"web"}`, sorted by key name
    Key(Box<[(Box<str>, Scalar)]>),
    /// `v:"web"`
    Value(Scalar),
    /// `i:0`
    Index(i64),
}

/// A JSON value that can tell list items apart.
#[derive(Clone, Debug)]
pub enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Box<str>),
    /// A map or list where only a scalar makes sense, as its canonical text.
    Other(Box<str>),
}

impl Step {
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads `f:…`, `k:…`, `v:…` or `i:…`; `None` when it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::field(rest)),
            "v" => Some(Self::Value(Scalar::from(&serde_json::from_str::<Value>(rest).ok()?))),
            "i" => rest.parse().ok().map(Self::Index),
            "k" => {
                let Value::Object(keys) = serde_json::from_str(rest).ok()? else { return None };
                Some(Self::key(keys.iter().map(|(name, value)| (name.as_str(), value))))
            }
            _ => None,
        }
    }

    pub fn key<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut pairs: Vec<(Box<str>, Scalar)> =
            pairs.map(|(name, value)| (name.into(), Scalar::from(value))).collect();
        pairs.sort();
        Self::Key(pairs.into())
    }

    /// The inverse of [`Step::parse`].
    pub fn to_text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", value.to_json()),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(pairs) => {
                let keys: serde_json::Map<String, Value> =
                    pairs.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect();
                format!("k:{}", Value::Object(keys))
            }
        }
    }
}

/// As in messages to people: `.spec`, `[name="web"]`, `[="a"]`, `[0]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={}]", value.to_json()),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(pairs) => {
                write!(f, "[")?;
                for (at, (name, value)) in pairs.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", value.to_json())?;
                }
                write!(f, "]")
            }
        }
    }
}

impl From<&Value> for Scalar {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(it) => Self::Bool(*it),
            Value::Number(it) => match it.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => Self::Float(it.as_f64().unwrap_or(f64::MAX)),
            },
            Value::String(it) => Self::Text(it.as_str().into()),
            Value::Array(_) | Value::Object(_) => Self::Other(value.to_string().into()),
        }
    }
}

impl Scalar {
    fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(it) => (*it).into(),
            Self::Integer(it) => (*it).into(),
            Self::Float(it) => (*it).into(),
            Self::Text(it) => it.as_ref().into(),
            Self::Other(it) => serde_json::from_str(it).unwrap_or(Value::Null),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Other(_) => 5,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Other(a), Self::Other(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, said: &str) {
        let step = Step::parse(text).unwrap();
        assert_eq!(step.to_text(), text);
        assert_eq!(step.to_string(), said);
    }

    #[test]
    fn steps_are_read_written_and_said() {
        check("f:replicas", ".replicas");
        check("f:a:b", ".a:b");
        check(r#"k:{"containerPort":80,"protocol":"TCP"}"#, r#"[containerPort=80,protocol="TCP"]"#);
        check(r#"v:"x""#, r#"[="x"]"#);
        check("v:true", "[=true]");
        check("v:1.5", "[=1.5]");
        check("i:3", "[3]");
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in ["replicas", "x:y", "k:[]", "k:{", "i:one", "v:{", "."] {
            assert_eq!(Step::parse(text), None, "{text}");
        }
    }
}
