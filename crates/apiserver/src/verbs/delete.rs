//! Away with an object: at once, or when its finalizers let it go.

use http::Response;
use serde_json::{Value, json};

use super::{
    input, list, selector, strategy,
    update::{busy, may_go},
    write::{self, ATTEMPTS, Live, Refusal},
};
use crate::{
    admission::Operation,
    body::Body,
    call::Call,
    crd,
    encode::{self, ListMeta, Stored},
    object::{self, is_terminating, meta, set_finalizers, set_meta},
    options::{DeleteOptions, dry_run},
    status::Failure,
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What became of it.
enum Outcome {
    Gone(Stored),
    /// Marked for deletion; something still holds it.
    Marked(Stored),
}

pub(super) async fn delete(call: &mut Call) -> Result<Response<Body>, Failure> {
    let options = options(call)?;
    delete_with(call, &options).await
}

pub(super) async fn delete_with(
    call: &mut Call,
    options: &DeleteOptions,
) -> Result<Response<Body>, Failure> {
    match remove(call, options).await? {
        Outcome::Marked(stored) => Ok(encode::object(call, 200, &stored)),
        Outcome::Gone(stored) if strategy::returns_deleted(&call.resource) => {
            Ok(encode::object(call, 200, &stored))
        }
        Outcome::Gone(stored) => Ok(gone(call, &stored)),
    }
}

fn gone(call: &Call, stored: &Stored) -> Response<Body> {
    let object: Value = serde_json::from_slice(&stored.bytes).unwrap_or_default();
    let mut details = json!({
        "name": call.name(), "kind": call.resource.plural, "uid": meta(&object, "uid"),
    });
    if !call.resource.group.is_empty() {
        details["group"] = call.resource.group.clone().into();
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details,
    });
    encode::value(200, &status, call.options.pretty)
}

/// All objects that the selectors mean.
pub(super) async fn delete_collection(call: &mut Call) -> Result<Response<Body>, Failure> {
    let options = options(call)?;
    let selector = selector(call)?;
    let (entries, meta) = list::all(call, &selector)?;
    let mut items = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = entry.key.strip_prefix(&call.resource.range(None)).unwrap_or_default();
        call.info.name = key.rsplit('/').next().map(str::to_owned);
        match remove(call, &options).await {
            Ok(Outcome::Gone(stored) | Outcome::Marked(stored)) => items.push(stored),
            // Somebody else deleted it meanwhile.
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let meta = ListMeta { revision: meta.revision, ..ListMeta::default() };
    Ok(encode::list(call, &items, &meta))
}

/// The options of the body, else those of the query.
fn options(call: &mut Call) -> Result<DeleteOptions, Failure> {
    if call.body.is_empty() {
        return Ok(call.options.deletion.clone());
    }
    let body = input::plain(call)?;
    let options: DeleteOptions = serde_json::from_value(body)
        .map_err(|error| Failure::bad_request(format!("DeleteOptions: {error}")))?;
    for value in &options.dry_run {
        call.options.dry_run |= dry_run(value)?;
    }
    Ok(options)
}

async fn remove(call: &mut Call, options: &DeleteOptions) -> Result<Outcome, Failure> {
    for _ in 0..ATTEMPTS {
        let live = write::live(call)?;
        check_preconditions(call, options, &live.object)?;
        strategy::may_be_deleted(&call.resource, call.name())?;
        write::admit(call, Operation::Delete, Value::Null, &live.object)?;
        let mut object = live.object.clone();
        mark(call, options, &mut object)?;
        match apply(call, &live, &object).await {
            Ok(outcome) => return Ok(outcome),
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Raced) => {}
        }
    }
    Err(busy(call))
}

async fn apply(call: &Call, live: &Live, object: &Value) -> Result<Outcome, Refusal> {
    if may_go(object) {
        let revision = write::remove(call, live).await?;
        return Ok(Outcome::Gone(Stored { bytes: live.entry.value.clone(), revision }));
    }
    if write::stored_bytes(call, object) == live.entry.value {
        return Ok(Outcome::Marked(live.stored()));
    }
    Ok(Outcome::Marked(write::replace(call, live, object).await?))
}

fn check_preconditions(call: &Call, options: &DeleteOptions, live: &Value) -> Result<(), Failure> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let checks = [
        ("UID", "uid", wanted.uid.as_deref()),
        ("ResourceVersion", "resourceVersion", wanted.resource_version.as_deref()),
    ];
    for (word, field, wanted) in checks {
        let is = meta(live, field);
        if let Some(wanted) = wanted.filter(|it| !it.is_empty() && *it != is) {
            let why = format!(
                "Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {is}"
            );
            let resource = &call.resource;
            return Err(Failure::stale(&resource.group, &resource.plural, call.name(), &why));
        }
    }
    Ok(())
}

/// Makes the object say that it is being deleted, and what is to become of its dependents.
fn mark(call: &Call, options: &DeleteOptions, object: &mut Value) -> Result<(), Failure> {
    let mut held = finalizers(options, object)?;
    if crd::is_definition(&call.resource) && !is_terminating(object) {
        held.push(crd::CLEANUP.into());
    }
    set_finalizers(object, held);
    let grace = strategy::grace_seconds(&call.resource, object, options.grace_period_seconds);
    if is_terminating(object) {
        let before = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        if grace < before {
            set_meta(object, "deletionGracePeriodSeconds", grace);
        }
        return Ok(());
    }
    let at = call.state.now() + jiff::SignedDuration::from_secs(grace);
    set_meta(object, "deletionTimestamp", object::time(at));
    set_meta(object, "deletionGracePeriodSeconds", grace);
    if let Some(generation) = object["metadata"]["generation"].as_i64() {
        set_meta(object, "generation", generation + 1);
    }
    if call.resource.is("", "namespaces") {
        object["status"]["phase"] = "Terminating".into();
    }
    Ok(())
}

fn finalizers(options: &DeleteOptions, object: &Value) -> Result<Vec<String>, Failure> {
    let mut finalizers = object::finalizers(object);
    let policy = match (options.propagation_policy.as_deref(), options.orphan_dependents) {
        (Some(_), Some(_)) => {
            return Err(Failure::bad_request(
                "orphanDependents and propagationPolicy cannot be both set",
            ));
        }
        (Some(policy), None) => policy,
        (None, Some(true)) => "Orphan",
        (None, Some(false)) => "Background",
        (None, None) => return Ok(finalizers),
    };
    finalizers.retain(|it| it != ORPHAN && it != FOREGROUND);
    match policy {
        "Orphan" => finalizers.push(ORPHAN.into()),
        "Foreground" => finalizers.push(FOREGROUND.into()),
        "Background" => {}
        other => {
            return Err(Failure::new(
                422,
                "Invalid",
                format!(
                    "propagationPolicy: Unsupported value: {other:?}: supported values: \
                     \"Foreground\", \"Background\", \"Orphan\""
                ),
            ));
        }
    }
    Ok(finalizers)
}
