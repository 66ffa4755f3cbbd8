//! Whether the caller may do this, and on whose behalf.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::{
    authz::{Authorizer, Decision, Rule, refusal},
    request::RequestInfo,
    server::State,
    status::Failure,
    user::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User},
};

const AS_USER: HeaderName = HeaderName::from_static("impersonate-user");
const AS_GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const AS_UID: HeaderName = HeaderName::from_static("impersonate-uid");
const AS_EXTRA: &str = "impersonate-extra-";

/// Lets everybody do everything.
pub(crate) struct AllowAll;

impl Authorizer for AllowAll {
    fn authorize(&self, _user: &User, _info: &RequestInfo) -> Decision {
        Decision { allowed: true, reason: String::new() }
    }

    fn rules(&self, _user: &User, _namespace: &str) -> Vec<Rule> {
        let all = || vec!["*".to_owned()];
        vec![Rule { verbs: all(), groups: all(), resources: all(), urls: all(), ..Rule::default() }]
    }
}

/// Lets `system:masters` do everything and asks the rules about all others.
pub(crate) fn check(state: &State, user: &User, info: &RequestInfo) -> Result<(), Failure> {
    if user.is_master() {
        return Ok(());
    }
    let decision = state.authorizer.authorize(user, info);
    if decision.allowed { Ok(()) } else { Err(refusal(user, info, &decision.reason)) }
}

/// The user that the headers ask to be taken for, if the caller may.
pub(crate) fn impersonate(
    state: &State,
    caller: Arc<User>,
    headers: &HeaderMap,
) -> Result<Arc<User>, Failure> {
    let all = |name: HeaderName| {
        headers.get_all(name).into_iter().filter_map(|it| it.to_str().ok()).map(str::to_owned)
    };
    let extra: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix(AS_EXTRA)?;
            Some((key.to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let groups: Vec<String> = all(AS_GROUP).collect();
    let uid = all(AS_UID).next();
    let Some(name) = all(AS_USER).next() else {
        if !groups.is_empty() || uid.is_some() || !extra.is_empty() {
            return Err(Failure::bad_request(
                "requested impersonation without impersonating a user",
            ));
        }
        return Ok(caller);
    };
    may(state, &caller, "users", &name)?;
    for group in &groups {
        may(state, &caller, "groups", group)?;
    }
    if let Some(it) = &uid {
        may(state, &caller, "uids", it)?;
    }
    for (key, value) in &extra {
        may(state, &caller, &format!("userextras/{key}"), value)?;
    }
    let mut user = User { name, uid: uid.unwrap_or_default(), groups, ..User::default() };
    for (key, value) in extra {
        user.extra.entry(key).or_default().push(value);
    }
    let said = if user.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    add_service_account_groups(&mut user);
    if !user.is_in(said) {
        user.groups.push(said.into());
    }
    Ok(Arc::new(user))
}

fn add_service_account_groups(user: &mut User) {
    let Some((namespace, _)) =
        user.name.strip_prefix("system:serviceaccount:").and_then(|it| it.split_once(':'))
    else {
        return;
    };
    if user.groups.is_empty() {
        user.groups =
            vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
    }
}

fn may(state: &State, caller: &User, resource: &str, name: &str) -> Result<(), Failure> {
    let mut info = RequestInfo {
        is_resource: true,
        verb: "impersonate".into(),
        version: "v1".into(),
        resource: resource.into(),
        name: Some(name.to_owned()),
        ..RequestInfo::default()
    };
    if let Some((resource, key)) = resource.split_once('/') {
        info.resource = resource.into();
        info.subresource = key.into();
    }
    if matches!(info.resource.as_str(), "uids" | "userextras") {
        info.group = "authentication.k8s.io".into();
    }
    if let Some((namespace, account)) =
        name.strip_prefix("system:serviceaccount:").and_then(|it| it.split_once(':'))
    {
        info.resource = "serviceaccounts".into();
        info.namespace = Some(namespace.to_owned());
        info.name = Some(account.to_owned());
    }
    check(state, caller, &info)
}
