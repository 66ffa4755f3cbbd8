//! Taints of nodes and what tolerates them.

use crate::Error;
use serde_json::Value;

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// None are scheduled here.
    NoSchedule,
    /// None are, if there is another place.
    PreferNoSchedule,
    /// Those that run here must go as well.
    NoExecute,
}

impl Effect {
    fn of(text: &str) -> Result<Self, Error> {
        match text {
            "NoSchedule" => Ok(Self::NoSchedule),
            "PreferNoSchedule" => Ok(Self::PreferNoSchedule),
            "NoExecute" => Ok(Self::NoExecute),
            other => Err(Error::new(
                "effect",
                format!("{other:?} is not one of NoSchedule, PreferNoSchedule, NoExecute"),
            )),
        }
    }
}

/// A node's (or a cluster's) taint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value, often empty.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

/// What a pod puts up with. No key tolerates every key; no effect, every effect; no value (`None`: Exists), every value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// The key; empty is every key.
    pub key: String,
    /// The value wanted; `None` for the operator `Exists`.
    pub value: Option<String>,
    /// The effect; `None` is every effect.
    pub effect: Option<Effect>,
    /// For `NoExecute`: how long it is tolerated; `None` is for ever.
    pub seconds: Option<i64>,
}

impl Taint {
    /// Reads `{key, value, effect}`.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        let text = |name: &str| v[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { key: text("key"), value: text("value"), effect: Effect::of(&text("effect"))? })
    }
}

impl Toleration {
    /// Reads `{key, operator, value, effect, tolerationSeconds}`.
    pub fn from_value(v: &Value) -> Result<Self, Error> {
        let text = |name: &str| v[name].as_str().unwrap_or_default();
        let value = match text("operator") {
            "" | "Equal" => Some(text("value").to_owned()),
            "Exists" => None,
            other => {
                return Err(Error::new(
                    "operator",
                    format!("{other:?} is not one of Equal, Exists"),
                ));
            }
        };
        if text("key").is_empty() && value.is_some() {
            return Err(Error::new(
                "operator",
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        let effect = match text("effect") {
            "" => None,
            word => Some(Effect::of(word)?),
        };
        Ok(Self {
            key: text("key").to_owned(),
            value,
            effect,
            seconds: v["tolerationSeconds"].as_i64(),
        })
    }

    /// Whether it tolerates `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|e| e == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
    }
}

/// The first taint with one of `effects` that nothing in `tolerations` tolerates.
pub fn first_untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    effects: &[Effect],
) -> Option<&'a Taint> {
    let matters = |t: &&Taint| effects.contains(&t.effect);
    taints.iter().filter(matters).find(|t| !tolerations.iter().any(|x| x.tolerates(t)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tolerations_match_by_key_value_and_effect() {
        let taint =
            Taint::from_value(&json!({"key": "k", "value": "v", "effect": "NoSchedule"})).unwrap();
        for (toleration, want) in [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists"}), true),
            (json!({"key": "k", "value": "v", "effect": "NoSchedule"}), true),
            (json!({"key": "k", "value": "w"}), false),
            (json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"key": "x", "operator": "Exists"}), false),
        ] {
            assert_eq!(
                Toleration::from_value(&toleration).unwrap().tolerates(&taint),
                want,
                "{toleration}"
            );
        }
        assert!(Toleration::from_value(&json!({"key": "k", "operator": "Gt"})).is_err());
        assert!(Toleration::from_value(&json!({"value": "k"})).is_err());
    }
}
