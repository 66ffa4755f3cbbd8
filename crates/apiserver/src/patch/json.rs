//! JSON patch (RFC 6902): a list of operations, all or none.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::status::Failure;

/// Kubernetes' own bound, against patches that copy themselves large.
const MAX_OPERATIONS: usize = 10_000;

/// How large `copy` operations may make an object: what a request body may be.
const MAX_BYTES: usize = 3 * 1024 * 1024;

/// 400 for what is no JSON patch, 413 for too many operations, 422 when one cannot be done.
pub fn apply(live: &Value, patch: &Value) -> Result<Value, Failure> {
    let operations = patch.as_array().map_or(0, Vec::len);
    if MAX_OPERATIONS < operations {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is \
             {MAX_OPERATIONS}, got {operations}"
        );
        return Err(Failure::new(413, "RequestEntityTooLarge", message));
    }
    let patch: Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
    let mut object = live.clone();
    let mut copied = 0;
    for (at, operation) in patch.0.iter().enumerate() {
        copied += copied_bytes(&object, operation);
        if MAX_BYTES < copied {
            let message = format!("the copies of a JSON patch may add at most {MAX_BYTES} bytes");
            return Err(Failure::new(413, "RequestEntityTooLarge", message));
        }
        json_patch::patch(&mut object, std::slice::from_ref(operation)).map_err(|error| {
            let message = format!(
                "the server rejected our request due to an error in our request: \
                 operation {at} of the JSON patch at {:?}: {}",
                error.path.as_str(),
                error.kind
            );
            Failure::new(422, "Invalid", message)
        })?;
    }
    Ok(object)
}

fn copied_bytes(object: &Value, operation: &PatchOperation) -> usize {
    match operation {
        PatchOperation::Copy(copy) => {
            object.pointer(copy.from.as_str()).map_or(0, |it| it.to_string().len())
        }
        _ => 0,
    }
}
