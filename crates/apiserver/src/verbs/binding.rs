//! A pod gets its node: POST to `pods/NAME/binding`.

use http::Response;
use serde_json::{Value, json};

use super::{
    input,
    update::busy,
    write::{self, ATTEMPTS, Refusal},
};
use crate::{body::Body, call::Call, encode, object, status::Failure};

pub(super) async fn bind(call: &mut Call) -> Result<Response<Body>, Failure> {
    let binding = input::plain(call)?;
    let node = binding["target"]["name"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Failure::bad_request("target.name: Required value: the node to bind to"));
    }
    for _ in 0..ATTEMPTS {
        let live = write::live(call)?;
        let taken = live.object["spec"]["nodeName"].as_str().unwrap_or_default();
        if !taken.is_empty() || object::is_terminating(&live.object) {
            let why = if taken.is_empty() {
                format!("pod {} is being deleted, cannot be assigned to a host", call.name())
            } else {
                format!("pod {} is already assigned to node {taken:?}", call.name())
            };
            return Err(Failure::stale("", "pods/binding", call.name(), &why));
        }
        let mut pod = live.object.clone();
        assign(&mut pod, node, &object::time(call.state.now()));
        match write::replace(call, &live, &pod).await {
            Ok(_) => return Ok(encode::value(201, &success(), call.options.pretty)),
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Raced) => {}
        }
    }
    Err(busy(call))
}

/// The node, and the condition that says so.
fn assign(pod: &mut Value, node: &str, now: &str) {
    pod["spec"]["nodeName"] = node.into();
    let others = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> =
        others.into_iter().filter(|it| it["type"] != "PodScheduled").collect();
    conditions.push(json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now}));
    pod["status"]["conditions"] = conditions.into();
}

/// The answer to what is created without being stored.
pub(super) fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
