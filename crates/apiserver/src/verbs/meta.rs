//! What holds of every object that is written, whatever its kind.

use serde_json::{Map, Value};

use super::input;
use crate::{
    authz::{NoEscalation, escalation::RoleWrite, rbac},
    call::Call,
    crd,
    fields::{self, Write},
    object::{self, meta, remove_meta, set_meta},
    options::FieldValidation,
    schema::{intake, validate},
    status::{Cause, Failure},
};

/// Who says which manager owns which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// What changed belongs to the caller.
    Record,
    /// An apply has worked it out.
    Known,
}

/// The body as an object of the kind that the path names.
pub(super) fn read_object(call: &mut Call) -> Result<Value, Failure> {
    let object = input::object(call)?;
    check_kind(call, object)
}

pub(super) fn check_kind(call: &Call, mut object: Value) -> Result<Value, Failure> {
    let resource = &call.resource;
    let Some(fields) = object.as_object_mut() else {
        return Err(Failure::bad_request("the body is not an object"));
    };
    let said = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (said("kind"), said("apiVersion"));
    if !version.is_empty() && version != resource.api_version {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version
        )));
    }
    if !kind.is_empty() && kind != resource.kind {
        return Err(Failure::bad_request(format!(
            "the kind in the data ({kind}) does not match the expected kind ({})",
            resource.kind
        )));
    }
    fields.insert("kind".into(), resource.kind.clone().into());
    fields.insert("apiVersion".into(), resource.api_version.clone().into());
    if fields.get("metadata").is_none_or(Value::is_null) {
        fields.insert("metadata".into(), Map::new().into());
    }
    if !fields["metadata"].is_object() {
        return Err(Failure::bad_request("metadata: not an object"));
    }
    Ok(object)
}

/// Types, unknown fields and defaults: what comes of an object before anything is asked of it.
pub(super) fn take_in(call: &mut Call, object: &mut Value) -> Result<(), Failure> {
    let resource = call.resource.clone();
    let mut found = call.duplicates.clone();
    if let Some(ty) = resource.ty() {
        found.extend(intake::intake(resource.kind_named(), ty, object)?);
    }
    match call.options.field_validation {
        FieldValidation::Strict if !found.is_empty() => {
            Err(intake::strict(resource.kind_named(), &found))
        }
        FieldValidation::Warn => {
            // A write that is tried again says it once.
            found.retain(|it| !call.warnings.contains(it));
            call.warnings.extend(found);
            Ok(())
        }
        FieldValidation::Strict | FieldValidation::Ignore => Ok(()),
    }
}

/// Name and namespace of the body must be those of the path; what is missing is filled in.
pub(super) fn check_identity(
    call: &Call,
    object: &mut Value,
    name: Option<&str>,
) -> Result<(), Failure> {
    match call.namespace() {
        Some(namespace) => {
            let said = meta(object, "namespace");
            if !said.is_empty() && said != namespace {
                return Err(Failure::bad_request(format!(
                    "the namespace of the provided object does not match the namespace sent on \
                     the request: {said:?} is not {namespace:?}"
                )));
            }
            set_meta(object, "namespace", namespace);
        }
        None => drop(remove_meta(object, "namespace")),
    }
    let Some(name) = name else { return Ok(()) };
    let said = meta(object, "name");
    if !said.is_empty() && said != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({said}) does not match the name on the URL ({name})"
        )));
    }
    set_meta(object, "name", name);
    Ok(())
}

/// `object` is about to replace `live`: what only the server may say stays as it was.
pub(super) fn carry_over(call: &Call, object: &mut Value, live: &Value) -> Result<(), Failure> {
    let resource = &call.resource;
    let name = meta(live, "name");
    let stale = |why: &str| Failure::stale(&resource.group, &resource.plural, name, why);
    let (said, is) = (meta(object, "uid"), meta(live, "uid"));
    if !said.is_empty() && said != is {
        return Err(stale(&format!(
            "Precondition failed: UID in precondition: {said}, UID in object meta: {is}"
        )));
    }
    let said = meta(object, "resourceVersion");
    if !matches!(said, "" | "0") && said != meta(live, "resourceVersion") {
        return Err(stale(
            "the object has been modified; please apply your changes to the latest version and \
             try again",
        ));
    }
    let fields = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
    ];
    for field in fields {
        match live["metadata"].get(field) {
            Some(value) => set_meta(object, field, value.clone()),
            None => drop(remove_meta(object, field)),
        }
    }
    remove_meta(object, "selfLink");
    if object::is_terminating(live) {
        let before = object::finalizers(live);
        if let Some(added) = object::finalizers(object).iter().find(|it| !before.contains(it)) {
            let cause = forbidden_finalizer(added);
            return Err(Failure::invalid(&resource.group, &resource.kind, name, vec![cause]));
        }
    }
    Ok(())
}

fn forbidden_finalizer(added: &str) -> Cause {
    Cause {
        reason: "FieldValueForbidden",
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{{{added:?}}}"
        ),
        field: "metadata.finalizers".into(),
    }
}

/// Owners, defaults and validation: the last steps before the store.
pub(super) fn finish(
    call: &mut Call,
    mut object: Value,
    live: Option<&Value>,
    owners: Owners,
) -> Result<Value, Failure> {
    tidy(&mut object);
    let resource = call.resource.clone();
    if let Some(ty) = resource.ty() {
        // Admission may have put in what has defaults of its own.
        intake::complete(resource.kind_named(), ty, &mut object);
    }
    if owners == Owners::Record
        && let Some(ty) = call.resource.ty()
    {
        let manager = call.field_manager();
        let write = writer(call, &manager);
        match live {
            Some(_) => fields::on_update(live, &mut object, ty, &write),
            None => fields::on_create(&mut object, ty, &write),
        }
    }
    let mut causes = check_meta(call, &object);
    if let Some(ty) = resource.ty() {
        causes.extend(validate::validate(resource.kind_named(), ty, &object, live));
    }
    if crd::is_definition(&call.resource) {
        causes.extend(crd::check(&object));
    }
    check_escalation(call, &object, live)?;
    if !causes.is_empty() {
        let resource = &call.resource;
        let name = meta(&object, "name");
        return Err(Failure::invalid(&resource.group, &resource.kind, name, causes));
    }
    Ok(object)
}

/// Roles and bindings give away no more than the caller has.
fn check_escalation(call: &Call, object: &Value, live: Option<&Value>) -> Result<(), Failure> {
    if call.resource.group != rbac::GROUP {
        return Ok(());
    }
    let rights = NoEscalation { rbac: call.state.rbac.clone() };
    rights.check(&RoleWrite {
        user: &call.user,
        resource: &call.resource.plural,
        namespace: call.namespace().unwrap_or_default(),
        name: meta(object, "name"),
        object,
        old: live.unwrap_or(&Value::Null),
    })
}

/// Empty maps and lists of metadata are as good as none.
fn tidy(object: &mut Value) {
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    meta.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

fn check_meta(call: &Call, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta(object, "name");
    if name.is_empty() {
        causes.push(cause(
            "FieldValueRequired",
            "metadata.name",
            "Required value: name or generateName is required".into(),
        ));
    } else if let Some(why) = call.resource.name_rule.check(name) {
        let message = format!("Invalid value: {name:?}: {why}");
        causes.push(cause("FieldValueInvalid", "metadata.name", message));
    }
    causes.extend(validate::metadata(object));
    causes
}

fn cause(reason: &'static str, field: &str, message: String) -> Cause {
    Cause { reason, message, field: field.to_owned() }
}

/// What managedFields say of this call.
pub(super) fn writer<'a>(call: &'a Call, manager: &'a str) -> Write<'a> {
    Write {
        manager,
        api_version: &call.resource.api_version,
        now: call.state.now(),
        subresource: &call.info.subresource,
        has_status: call.resource.status,
    }
}
