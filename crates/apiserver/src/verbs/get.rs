//! One object.

use http::Response;

use crate::{
    body::Body,
    call::Call,
    encode::{self, Stored},
    status::Failure,
};

pub(super) fn get(call: &Call) -> Result<Response<Body>, Failure> {
    Ok(encode::object(call, 200, &stored(call)?))
}

pub(super) fn stored(call: &Call) -> Result<Stored, Failure> {
    let entry = call.state.store.get(&call.key());
    let entry = entry.ok_or_else(|| call.resource.not_found(call.name()))?;
    Ok(Stored { bytes: entry.value, revision: entry.modified })
}
