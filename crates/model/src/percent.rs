//! `IntOrString`: a count, or a share such as `25%`.

use crate::Error;
use serde_json::Value;

/// A count or a share of a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A count.
    Int(i64),
    /// Hundredths of a total.
    Percent(i64),
}

impl IntOrPercent {
    /// Reads `5` or `"25%"`.
    pub fn from_value(value: &Value) -> Result<Self, Error> {
        let percent = || value.as_str()?.strip_suffix('%')?.parse().ok().map(Self::Percent);
        value.as_i64().map(Self::Int).or_else(percent).ok_or_else(|| {
            Error::new(
                value.to_string(),
                "invalid value for IntOrString: must be an integer or a percentage (e.g '1%')",
            )
        })
    }

    /// What it means of `total`, a share rounded up or down.
    pub fn of(self, total: i64, up: bool) -> i64 {
        match self {
            Self::Int(n) => n,
            Self::Percent(p) => {
                let product = i128::from(p) * i128::from(total) + if up { 99 } else { 0 };
                i64::try_from(product.div_euclid(100)).unwrap_or(i64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_round_as_asked() {
        let quarter = IntOrPercent::from_value(&json!("25%")).unwrap();
        assert_eq!((quarter.of(5, true), quarter.of(5, false), quarter.of(0, true)), (2, 1, 0));
        assert_eq!(IntOrPercent::from_value(&json!(3)).unwrap().of(10, true), 3);
        assert!(IntOrPercent::from_value(&json!("3")).is_err());
    }
}
