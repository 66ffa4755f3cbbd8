//! Questions about rights: answered, never stored.

use http::Response;

use super::meta;
use crate::{authz::reviews, body::Body, call::Call, encode, status::Failure};

pub(super) fn review(call: &mut Call) -> Result<Response<Body>, Failure> {
    let review = meta::read_object(call)?;
    let authorizer = call.state.authorizer.as_ref();
    let kind = &call.resource.kind;
    let answer = reviews::answer(authorizer, &call.user, kind, call.namespace(), review)?;
    Ok(encode::value(201, &answer, call.options.pretty))
}
