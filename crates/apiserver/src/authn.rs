//! Who is asking: client certificates, bearer tokens, else nobody in particular.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, header};
use x509_parser::{der_parser::Oid, oid_registry, prelude::FromDer};

use crate::{
    pki,
    status::Failure,
    user::{CERTIFICATE_URIS, User},
};

/// Knows bearer tokens.
pub trait Tokens: Send + Sync {
    fn user(&self, token: &str) -> Option<User>;
}

/// Tokens that are given at start and stay.
#[derive(Clone, Default)]
pub struct StaticTokens(pub BTreeMap<String, User>);

impl Tokens for StaticTokens {
    fn user(&self, token: &str) -> Option<User> {
        // Every token is compared in the same time whatever it has in common with the given one.
        let mut found = None;
        for (known, user) in &self.0 {
            if same(known.as_bytes(), token.as_bytes()) {
                found = Some(user);
            }
        }
        found.cloned()
    }
}

/// Whether two secrets are equal; takes as long whatever they have in common.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// The caller of one request on a connection whose certificate said `peer`.
///
/// 401 for a token that nobody knows; without any credentials `system:anonymous`.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    peer: Option<&Arc<User>>,
    tokens: &[Arc<dyn Tokens>],
) -> Result<Arc<User>, Failure> {
    if let Some(user) = peer {
        return Ok(user.clone());
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let Some(given) = given else { return Ok(Arc::new(User::anonymous())) };
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token
        .and_then(|(_, token)| tokens.iter().find_map(|it| it.user(token.trim())))
        .map(Arc::new)
        .ok_or_else(|| Failure::new(401, "Unauthorized", "Unauthorized"))
}

/// The common name is the user, each organization a group; the uid has an attribute of its own.
/// What else it names the holder is extra.
pub(crate) fn user_of_certificate(der: &[u8]) -> Option<User> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject
        .iter_by_oid(&oid_registry::OID_X509_ORGANIZATION_NAME)
        .filter_map(|it| it.as_str().ok().map(str::to_owned));
    let uid_type = Oid::from(pki::USER_UID).ok()?;
    let uid = subject.iter_by_oid(&uid_type).find_map(|it| it.as_str().ok());
    let uris = pki::uris(&certificate);
    let extra = (!uris.is_empty()).then(|| (CERTIFICATE_URIS.to_owned(), uris));
    Some(User {
        uid: uid.unwrap_or_default().to_owned(),
        extra: extra.into_iter().collect(),
        ..User::new(name, groups)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(authorization: Option<&str>, expected: Result<&str, u16>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let known = StaticTokens([("t0ken".to_owned(), User::new("ada", []))].into());
        let found = authenticate(&headers, None, &[Arc::new(known)]);
        let found = found.map(|it| it.name.clone()).map_err(|it| it.code);
        assert_eq!(found, expected.map(str::to_owned));
    }

    #[test]
    fn a_token_names_its_user_and_an_unknown_one_is_refused() {
        check(Some("Bearer t0ken"), Ok("ada"));
        check(Some("bearer t0ken"), Ok("ada"));
        check(Some("Bearer other"), Err(401));
        check(Some("Basic t0ken"), Err(401));
        check(None, Ok("system:anonymous"));
    }
}
