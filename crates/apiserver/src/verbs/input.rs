//! Bodies of requests, decoded by content type.

use serde_json::Value;

use crate::{call::Call, status::Failure};

/// An object of the call's kind.
pub(super) fn object(call: &mut Call) -> Result<Value, Failure> {
    plain(call)
}

/// An object of another kind, such as a Scale or a Binding.
pub(super) fn plain(call: &Call) -> Result<Value, Failure> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Failure::bad_request(format!("could not decode the body: {error}")))
}

/// A patch of any type.
pub(super) fn patch(call: &mut Call) -> Result<Value, Failure> {
    plain(call)
}

/// DeleteOptions.
pub(super) fn options(call: &Call) -> Result<Value, Failure> {
    plain(call)
}
