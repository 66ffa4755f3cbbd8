//! The scale subresource: replicas of any kind that says where it keeps them.

use http::Response;
use serde_json::{Value, json};

use super::{get, input, meta::Owners, patch::Kind, update};
use crate::{
    body::Body,
    call::Call,
    encode::{self, Stored},
    object::{self, set_meta},
    patch,
    registry::ScalePaths,
    status::{Cause, Failure},
};

pub(super) fn get_scale(call: &Call) -> Result<Response<Body>, Failure> {
    answer(call, &get::stored(call)?)
}

pub(super) async fn update_scale(call: &mut Call) -> Result<Response<Body>, Failure> {
    let scale = input::plain(call)?;
    let stored = update::rewrite(call, |call, live| scaled(call, live, &scale)).await?;
    answer(call, &stored)
}

pub(super) async fn patch_scale(call: &mut Call) -> Result<Response<Body>, Failure> {
    let kind = Kind::of(call)?;
    let patch = input::patch(call)?;
    let stored = update::rewrite(call, |call, live| {
        let before = scale_of(paths(call)?, live);
        let scale = match kind {
            Kind::Json => patch::json::apply(&before, &patch)?,
            Kind::Merge | Kind::Strategic | Kind::Apply => patch::merge::apply(&before, &patch)?,
        };
        scaled(call, live, &scale)
    })
    .await?;
    answer(call, &stored)
}

fn answer(call: &Call, stored: &Stored) -> Result<Response<Body>, Failure> {
    let object = object::parse(&stored.bytes, stored.revision, &call.resource.api_version);
    Ok(encode::value(200, &scale_of(paths(call)?, &object), call.options.pretty))
}

fn paths(call: &Call) -> Result<&ScalePaths, Failure> {
    call.resource.scale.as_ref().ok_or_else(Failure::no_such_resource)
}

/// `live` with the replicas that a Scale asks for.
fn scaled(call: &mut Call, live: &Value, scale: &Value) -> Result<(Value, Owners), Failure> {
    let paths = paths(call)?;
    let name = object::meta(scale, "name");
    if !name.is_empty() && name != call.name() {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.name()
        )));
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        value => value.as_i64().unwrap_or(-1),
    };
    if replicas < 0 {
        let cause = Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: must be a whole number greater than or equal to 0".into(),
            field: "spec.replicas".into(),
        };
        return Err(Failure::invalid("autoscaling", "Scale", call.name(), vec![cause]));
    }
    let mut object = live.clone();
    for field in ["resourceVersion", "uid"] {
        let said = object::meta(scale, field);
        if !said.is_empty() {
            set_meta(&mut object, field, said);
        }
    }
    set_at(&mut object, &paths.spec_replicas, replicas.into());
    Ok((object, Owners::Record))
}

fn scale_of(paths: &ScalePaths, object: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&paths.status_replicas)});
    let selector = at(object, &paths.label_selector).map(selector_text).unwrap_or_default();
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)}, "status": status,
    })
}

fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split('.').filter(|it| !it.is_empty())
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path).next()?;
    steps(path).try_fold(object, |at, step| at.get(step))
}

fn set_at(object: &mut Value, path: &str, value: Value) {
    let mut place = object;
    for step in steps(path) {
        place = &mut place[step];
    }
    *place = value;
}

/// A selector as text, whether kept as text, as a map or as a LabelSelector.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
    let mut terms: Vec<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    for term in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = term["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            term["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        terms.push(match term["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_tells_replicas_and_selector() {
        let paths = ScalePaths {
            spec_replicas: ".spec.replicas".into(),
            status_replicas: ".status.replicas".into(),
            label_selector: ".spec.selector".into(),
        };
        let object = json!({"metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"},
                "matchExpressions": [{"key": "c", "operator": "In", "values": ["d", "e"]}]}},
            "status": {"replicas": 2}});
        assert_eq!(
            scale_of(&paths, &object),
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "web"},
                "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "a=b,c in (d,e)"}})
        );
    }
}
