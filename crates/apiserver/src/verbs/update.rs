//! An object in place of the one that is stored: PUT, and what every other change ends in.

use http::Response;
use serde_json::Value;

use super::{
    meta::{self, Owners},
    strategy,
    write::{self, ATTEMPTS, Live, Refusal},
};
use crate::{
    admission::Operation,
    body::Body,
    call::Call,
    encode::{self, Stored},
    object::{self, set_meta},
    status::{Cause, Failure},
};

pub(super) async fn update(call: &mut Call) -> Result<Response<Body>, Failure> {
    let object = meta::read_object(call)?;
    let has_revision = !matches!(object::meta(&object, "resourceVersion"), "" | "0");
    if call.resource.custom && !has_revision {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update".into(),
            field: "metadata.resourceVersion".into(),
        };
        let resource = &call.resource;
        return Err(Failure::invalid(&resource.group, &resource.kind, call.name(), vec![cause]));
    }
    let stored = rewrite(call, |_, _| Ok((object.clone(), Owners::Record))).await?;
    Ok(encode::object(call, 200, &stored))
}

/// Replaces the stored object with what `change` makes of it, again when somebody was faster.
///
/// `change` says where it insists on a revision by leaving another one in the object.
pub(super) async fn rewrite(
    call: &mut Call,
    change: impl Fn(&mut Call, &Value) -> Result<(Value, Owners), Failure>,
) -> Result<Stored, Failure> {
    for _ in 0..ATTEMPTS {
        let live = write::live(call)?;
        let (object, owners) = change(call, &live.object)?;
        match once(call, &live, object, owners).await {
            Ok(stored) => return Ok(stored),
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Raced) => {}
        }
    }
    Err(busy(call))
}

/// The object changed under every attempt.
pub(super) fn busy(call: &Call) -> Failure {
    let resource = &call.resource;
    let why = "the object keeps changing; please try again";
    Failure::stale(&resource.group, &resource.plural, call.name(), why)
}

async fn once(
    call: &mut Call,
    live: &Live,
    mut object: Value,
    owners: Owners,
) -> Result<Stored, Refusal> {
    let name = call.name().to_owned();
    meta::take_in(call, &mut object)?;
    meta::check_identity(call, &mut object, Some(&name))?;
    meta::carry_over(call, &mut object, &live.object)?;
    let object = match call.info.subresource.as_str() {
        "status" => status_of(object, &live.object),
        "finalize" => finalized(&object, &live.object),
        _ => {
            strategy::on_update(&call.resource, &mut object, &live.object);
            object
        }
    };
    let object = write::admit(call, Operation::Update, object, &live.object)?;
    let object = meta::finish(call, object, Some(&live.object), owners)?;
    if may_go(&object) {
        write::remove(call, live).await?;
        return Ok(Stored { bytes: write::stored_bytes(call, &object), ..live.stored() });
    }
    if write::stored_bytes(call, &object) == live.entry.value {
        return Ok(live.stored());
    }
    write::replace(call, live, &object).await
}

/// Of a write to `status`, only the status counts.
fn status_of(object: Value, live: &Value) -> Value {
    let mut result = live.clone();
    if let Value::Object(mut fields) = object {
        match fields.remove("status") {
            Some(status) => result["status"] = status,
            None => drop(result.as_object_mut().and_then(|it| it.remove("status"))),
        }
        if let Some(owners) = fields["metadata"].get("managedFields") {
            set_meta(&mut result, "managedFields", owners.clone());
        }
    }
    result
}

/// Of a write to a namespace's `finalize`, only its finalizers count.
fn finalized(object: &Value, live: &Value) -> Value {
    let mut result = live.clone();
    result["spec"]["finalizers"] = match &object["spec"]["finalizers"] {
        Value::Null => Value::Array(Vec::new()),
        listed => listed.clone(),
    };
    result
}

/// Marked for deletion, and nothing holds it any more.
pub(super) fn may_go(object: &Value) -> bool {
    let held = object["spec"]["finalizers"].as_array().is_some_and(|it| !it.is_empty())
        && object["kind"] == "Namespace";
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    object::is_terminating(object) && object::finalizers(object).is_empty() && !held && grace == 0
}
