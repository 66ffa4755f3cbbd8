//! Bootstrap tokens: Secrets in Kubernetes' shape, in the hub's own namespace.

use std::fmt;

use jiff::Timestamp;
use kogge_agent::SYSTEM_NAMESPACE;
use kogge_apiserver::{
    User,
    authn::{Tokens, same},
};
use kogge_member::{ObjectKey, object};
use serde_json::Value;

use super::{BOOTSTRAPPERS, TOKEN_TYPE, USED_BY, token_secret};
use crate::{cache::Cache, controllers::cluster::data};

const USER: &str = "system:bootstrap:";

/// A token, as its Secret has it. `Debug` shows its id.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bootstrap {
    pub id: String,
    secret: Vec<u8>,
    pub expires: Option<Timestamp>,
    /// The only cluster that it lets in.
    pub cluster: Option<String>,
    /// The request for a certificate that used it up.
    pub used_by: Option<String>,
    pub resource_version: String,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// `None` for a Secret that is no token, or that says nothing of when it expires readably.
    pub fn of(secret: &Value) -> Option<Self> {
        let text = |key: &str| data(secret, key).and_then(|it| String::from_utf8(it).ok());
        let allowed = text("usage-bootstrap-authentication").as_deref() == Some("true");
        if object::text(secret, "/type") != TOKEN_TYPE || !allowed {
            return None;
        }
        let id = text("token-id")?;
        if object::name(secret) != token_secret(&id) {
            return None;
        }
        let expires = text("expiration").map(|it| it.parse()).transpose().ok()?;
        let annotations = secret.pointer("/metadata/annotations");
        let used_by = annotations.and_then(|it| it.get(USED_BY)?.as_str());
        Some(Self {
            id,
            secret: data(secret, "token-secret")?,
            expires,
            cluster: text("cluster").filter(|it| !it.is_empty()),
            used_by: used_by.map(str::to_owned),
            resource_version: object::text(secret, "/metadata/resourceVersion").to_owned(),
        })
    }

    pub fn key(id: &str) -> ObjectKey {
        ObjectKey::new("", "Secret", SYSTEM_NAMESPACE, &token_secret(id))
    }

    /// The id of the token that a user showed.
    pub fn id_of_user(user: &str) -> Option<&str> {
        user.strip_prefix(USER)
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|it| it <= now)
    }
}

/// Knows the tokens that the hub stores. A used one is known until it expires: its certificate is
/// still to be fetched with it.
pub(crate) struct BootstrapTokens {
    pub cache: Cache,
    pub now: fn() -> Timestamp,
}

impl Tokens for BootstrapTokens {
    fn user(&self, token: &str) -> Option<User> {
        let (id, secret) = token.split_once('.')?;
        let known = Bootstrap::of(&self.cache.value(&Bootstrap::key(id))?)?;
        let is_it = same(&known.secret, secret.as_bytes()) && !known.is_expired((self.now)());
        is_it.then(|| User::new(format!("{USER}{id}"), [BOOTSTRAPPERS.to_owned()]))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;
    use crate::cache::Object;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    fn secret(expiration: &str) -> Value {
        let b64 = |text: &str| STANDARD.encode(text);
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TOKEN_TYPE,
            "metadata": {"name": "bootstrap-token-abcdef", "namespace": SYSTEM_NAMESPACE},
            "data": {
                "token-id": b64("abcdef"), "token-secret": b64("0123456789abcdef"),
                "expiration": b64(expiration), "usage-bootstrap-authentication": b64("true"),
            },
        })
    }

    #[track_caller]
    fn check(secret: &Value, token: &str, want: Option<&str>) {
        let cache = Cache::default();
        let bytes = serde_json::to_vec(secret).unwrap().into();
        cache.take(&ObjectKey::of(secret), Some(Object { bytes, revision: 1 }));
        let tokens = BootstrapTokens { cache, now: || Timestamp::UNIX_EPOCH };
        let user = tokens.user(token);
        assert_eq!(user.as_ref().map(|it| it.name.as_str()), want);
        assert!(user.is_none_or(|it| it.is_in(BOOTSTRAPPERS)));
    }

    #[test]
    fn a_token_is_known_until_it_expires() {
        let good = secret("1970-01-01T00:00:01Z");
        check(&good, TOKEN, Some("system:bootstrap:abcdef"));
        check(&good, "abcdef.0123456789abcdee", None);
        check(&good, "abcdeg.0123456789abcdef", None);
        check(&good, "abcdef", None);
        check(&secret("1970-01-01T00:00:00Z"), TOKEN, None);
        check(&secret("tomorrow"), TOKEN, None);
    }

    #[test]
    fn no_secret_is_shown() {
        let token = Bootstrap::of(&secret("1970-01-01T00:00:01Z")).unwrap();
        assert_eq!(format!("{token:?}"), r#"Bootstrap { id: "abcdef", .. }"#);
    }

    #[test]
    fn a_secret_of_another_sort_is_no_token() {
        let mut other = secret("1970-01-01T00:00:01Z");
        other["type"] = "Opaque".into();
        check(&other, TOKEN, None);
        let mut other = secret("1970-01-01T00:00:01Z");
        other["data"]["usage-bootstrap-authentication"] = STANDARD.encode("false").into();
        check(&other, TOKEN, None);
    }
}
