//! A new object.

use http::Response;
use kogge_store::Entry;
use serde_json::Value;
use uuid::Uuid;

use super::{
    meta::{self, Owners},
    strategy,
    write::{self, ATTEMPTS, Refusal},
};
use crate::{
    admission::Operation,
    body::Body,
    call::Call,
    encode::{self, Stored},
    names,
    object::{self, is_terminating, remove_meta, set_meta},
    status::{Cause, Failure},
};

pub(super) async fn create(call: &mut Call) -> Result<Response<Body>, Failure> {
    if call.info.name.is_some() {
        return Err(Failure::method_not_allowed());
    }
    let object = meta::read_object(call)?;
    let stored = insert(call, object, Owners::Record).await?;
    Ok(encode::object(call, 201, &stored))
}

/// Everything between a decoded object and the store, as often as a generated name is taken.
pub(super) async fn insert(
    call: &mut Call,
    mut object: Value,
    owners: Owners,
) -> Result<Stored, Failure> {
    meta::take_in(call, &mut object)?;
    meta::check_identity(call, &mut object, None)?;
    begin(call, &mut object)?;
    let prefix = object::meta(&object, "generateName").to_owned();
    let generates = object::meta(&object, "name").is_empty() && !prefix.is_empty();
    let mut refused = None;
    for _ in 0..ATTEMPTS {
        let mut attempt = object.clone();
        if generates {
            set_meta(&mut attempt, "name", names::generated(&prefix, Uuid::new_v4()));
        }
        let namespace = open_namespace(call, &attempt)?;
        let attempt = write::admit(call, Operation::Create, attempt, &Value::Null)?;
        let attempt = meta::finish(call, attempt, None, owners)?;
        match write::insert(call, &attempt, namespace).await {
            Ok(stored) => return Ok(stored),
            Err(Refusal::Failure(failure)) if generates && failure.reason == "AlreadyExists" => {
                refused = Some(failure);
            }
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Raced) => {}
        }
    }
    Err(refused.unwrap_or_else(|| Failure::conflict("the namespace keeps changing; try again")))
}

/// Sets what only the server may say of a new object.
fn begin(call: &Call, object: &mut Value) -> Result<(), Failure> {
    if !object::meta(object, "resourceVersion").is_empty() {
        return Err(Failure::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    for field in [
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        remove_meta(object, field);
    }
    set_meta(object, "uid", Uuid::new_v4().to_string());
    set_meta(object, "creationTimestamp", object::time(call.state.now()));
    strategy::on_create(&call.resource, object);
    strategy::by(&call.resource, object, &call.user);
    Ok(())
}

/// The namespace an object goes to: it must exist and not be on its way out.
fn open_namespace(call: &Call, object: &Value) -> Result<Option<Entry>, Failure> {
    let Some(namespace) = call.namespace() else { return Ok(None) };
    let entry = call
        .state
        .store
        .get(&format!("/core/namespaces/{namespace}"))
        .ok_or_else(|| Failure::not_found("", "namespaces", namespace))?;
    let parsed: Value = serde_json::from_slice(&entry.value).unwrap_or_default();
    if !is_terminating(&parsed) {
        return Ok(Some(entry));
    }
    let resource = &call.resource;
    let name = object::meta(object, "name");
    let message = format!(
        "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because \
         it is being terminated",
        resource.qualified()
    );
    let cause = Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    };
    Err(Failure::forbidden(message)
        .about(crate::status::About::named(&resource.group, &resource.plural, name))
        .causes(vec![cause]))
}
