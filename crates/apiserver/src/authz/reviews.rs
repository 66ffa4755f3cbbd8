//! The review kinds: questions about rights, answered and never stored.

use serde_json::{Map, Value, json};

use super::{Authorizer, Rule};
use crate::{request::RequestInfo, status::Failure, user::User};

/// Answers `review`, an object of `kind`, asked by `user`; `namespace` is that of the request.
///
/// The kinds: SelfSubjectAccessReview, SubjectAccessReview, LocalSubjectAccessReview,
/// SelfSubjectRulesReview and SelfSubjectReview. 404 for others.
pub fn answer(
    authorizer: &dyn Authorizer,
    user: &User,
    kind: &str,
    namespace: Option<&str>,
    mut review: Value,
) -> Result<Value, Failure> {
    let status = match kind {
        "SelfSubjectAccessReview" => access(authorizer, user, &review["spec"])?,
        "SubjectAccessReview" => access(authorizer, &subject(&review["spec"])?, &review["spec"])?,
        "LocalSubjectAccessReview" => {
            let said = review["spec"]["resourceAttributes"]["namespace"].as_str();
            if said != namespace {
                return Err(Failure::bad_request(
                    "spec.resourceAttributes.namespace must match metadata.namespace",
                ));
            }
            access(authorizer, &subject(&review["spec"])?, &review["spec"])?
        }
        "SelfSubjectRulesReview" => rules(authorizer, user, &review["spec"])?,
        "SelfSubjectReview" => json!({ "userInfo": user_info(user) }),
        _ => return Err(Failure::no_such_resource()),
    };
    if !review.is_object() {
        return Err(Failure::bad_request("a review must be an object"));
    }
    review["status"] = status;
    Ok(review)
}

fn access(authorizer: &dyn Authorizer, user: &User, spec: &Value) -> Result<Value, Failure> {
    let info = asked(spec)?;
    let decision = authorizer.authorize(user, &info);
    let mut status = json!({ "allowed": decision.allowed });
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    Ok(status)
}

/// What the review asks about, as if it were asked for.
fn asked(spec: &Value) -> Result<RequestInfo, Failure> {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let some = |it: String| (!it.is_empty()).then_some(it);
    match (&spec["resourceAttributes"], &spec["nonResourceAttributes"]) {
        (resource @ Value::Object(_), Value::Null) => Ok(RequestInfo {
            is_resource: true,
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            version: text(resource, "version"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: some(text(resource, "namespace")),
            name: some(text(resource, "name")),
            ..RequestInfo::default()
        }),
        (Value::Null, path @ Value::Object(_)) => Ok(RequestInfo {
            path: text(path, "path"),
            verb: text(path, "verb"),
            ..RequestInfo::default()
        }),
        _ => Err(Failure::bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
    }
}

/// Whom a SubjectAccessReview is about: only the groups it names, not `system:authenticated`.
fn subject(spec: &Value) -> Result<User, Failure> {
    let groups = spec["groups"].as_array().into_iter().flatten();
    let groups: Vec<String> = groups.filter_map(Value::as_str).map(str::to_owned).collect();
    let name = spec["user"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() && groups.is_empty() {
        return Err(Failure::bad_request("at least one of user or group must be specified"));
    }
    let uid = spec["uid"].as_str().unwrap_or_default().to_owned();
    Ok(User { name, uid, groups, ..User::default() })
}

fn rules(authorizer: &dyn Authorizer, user: &User, spec: &Value) -> Result<Value, Failure> {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Failure::bad_request("no namespace on request"));
    }
    let all = authorizer.rules(user, namespace);
    let of = |keep: fn(&&Rule) -> bool| -> Value {
        all.iter().filter(keep).map(Rule::to_json).collect()
    };
    Ok(json!({
        "resourceRules": of(|it| !it.resources.is_empty()),
        "nonResourceRules": of(|it| !it.urls.is_empty()),
        "incomplete": false,
    }))
}

fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".into(), user.name.clone().into());
    if !user.uid.is_empty() {
        info.insert("uid".into(), user.uid.clone().into());
    }
    if !user.groups.is_empty() {
        info.insert("groups".into(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        info.insert("extra".into(), json!(user.extra));
    }
    Value::Object(info)
}
