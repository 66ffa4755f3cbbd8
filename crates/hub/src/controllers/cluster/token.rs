//! When the token of a member's ServiceAccount has to be renewed. Pure.
//!
//! A cluster may give tokens of a day where a year was asked for, so the hub asks for a new one
//! with the one it has, at two thirds of its life.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The ServiceAccount that a token is for, and when its successor is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renewal {
    pub namespace: String,
    pub account: String,
    pub due: Timestamp,
    /// As long as the present one was given for.
    pub life: SignedDuration,
}

impl Renewal {
    /// What a token says of itself. None for one that never expires or is nobody's account: it is
    /// somebody else's to renew.
    pub fn of(token: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        let subject = claims["sub"].as_str()?.strip_prefix("system:serviceaccount:")?;
        let (namespace, account) = subject.split_once(':')?;
        let time = |claim: &str| Timestamp::from_second(claims[claim].as_i64()?).ok();
        let (issued, expires) = (time("iat")?, time("exp")?);
        let life = expires.duration_since(issued);
        Some(Self {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            due: issued.checked_add(life * 2 / 3).ok()?,
            life,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(claims: &str, want: Option<i64>) {
        let token = format!("header.{}.signature", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(Renewal::of(&token).map(|it| it.due.as_second()), want);
    }

    #[test]
    fn a_token_is_due_at_two_thirds_of_its_life() {
        let account = r#""sub": "system:serviceaccount:kogge-system:kogge""#;
        check(&format!(r#"{{{account}, "iat": 1000, "exp": 4000}}"#), Some(3000));
        check(&format!(r#"{{{account}, "iat": 1000}}"#), None);
        check(r#"{"sub": "jane", "iat": 1000, "exp": 4000}"#, None);
        check("[]", None);
        assert_eq!(Renewal::of("opaque"), None);
    }
}
