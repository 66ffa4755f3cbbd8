//! Who may do what.
//!
//! Reading order: `rule` (one rule against one request), `rbac` (roles and
//! bindings as an index), `escalation` (nobody hands out more than they hold),
//! `reviews` (the API that answers "may I"), `bootstrap` (the roles every
//! cluster has, as data).

pub mod bootstrap;
pub mod escalation;
pub mod rbac;
pub mod reviews;
pub mod rule;
#[cfg(test)]
mod tests;

pub use self::{escalation::NoEscalation, rbac::Rbac, rule::Rule};
use crate::{
    request::RequestInfo,
    status::{About, Failure},
    user::User,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Which binding allowed it, or what went wrong on the way to a denial. May be empty.
    pub reason: String,
}

/// Decides on requests of authenticated users. Must not block: it runs on every request.
pub trait Authorizer: Send + Sync {
    fn authorize(&self, user: &User, info: &RequestInfo) -> Decision;

    /// All that `user` may do in a namespace (`""`: in none).
    fn rules(&self, user: &User, namespace: &str) -> Vec<Rule>;
}

/// 403 in Kubernetes' words.
pub fn refusal(user: &User, info: &RequestInfo, reason: &str) -> Failure {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let (who, verb) = (&user.name, &info.verb);
    if !info.is_resource {
        return Failure::forbidden(format!(
            "forbidden: User {who:?} cannot {verb} path {:?}{why}",
            info.path
        ));
    }
    let resource = match info.subresource.as_str() {
        "" => info.resource.clone(),
        sub => format!("{}/{sub}", info.resource),
    };
    let place = match info.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => format!("in the namespace {namespace:?}"),
        _ => "at the cluster scope".to_owned(),
    };
    let name = info.name.clone().unwrap_or_default();
    let what = match name.as_str() {
        "" => info.qualified_resource(),
        name => format!("{} {name:?}", info.qualified_resource()),
    };
    let message = format!(
        "{what} is forbidden: User {who:?} cannot {verb} resource {resource:?} in API group {:?} \
         {place}{why}",
        info.group
    );
    Failure::forbidden(message).about(About {
        group: info.group.clone(),
        kind: info.resource.clone(),
        name,
        uid: String::new(),
    })
}
