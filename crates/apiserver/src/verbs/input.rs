//! Bodies of requests, decoded by content type.

use serde_json::Value;

use crate::{call::Call, decode, status::Failure};

/// An object of the call's kind. Fields that come twice are kept for field validation.
pub(super) fn object(call: &mut Call) -> Result<Value, Failure> {
    let decoded = decode::body(&call.content_type, &call.body)?;
    call.duplicates = decoded.duplicates;
    Ok(decoded.value)
}

/// An object of another kind, such as a Scale, a Binding or DeleteOptions.
pub(super) fn plain(call: &Call) -> Result<Value, Failure> {
    Ok(decode::body(&call.content_type, &call.body)?.value)
}

/// A patch of any type.
pub(super) fn patch(call: &mut Call) -> Result<Value, Failure> {
    object(call)
}
