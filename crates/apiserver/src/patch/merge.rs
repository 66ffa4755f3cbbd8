//! JSON merge patch (RFC 7386): null deletes, maps merge, everything else replaces.

use serde_json::Value;

use crate::status::Failure;

/// 400 when the patch is not a JSON object.
pub fn apply(live: &Value, patch: &Value) -> Result<Value, Failure> {
    if !patch.is_object() {
        return Err(Failure::bad_request(
            "error decoding patch: a merge patch of an object must be a JSON object",
        ));
    }
    let mut object = live.clone();
    json_patch::merge(&mut object, patch);
    Ok(object)
}
