//! Where an admin sees which keys the fleet trusts (GET), and has the key rotated (POST).

use http::{Method, Response};
use kogge_apiserver::{Body, User};
use kogge_net::AuthorityError;

use super::routes::{Routes, json_answer, refusal};

pub(super) async fn answer(routes: &Routes, user: &User, method: &Method) -> Response<Body> {
    if !user.is_master() {
        return refusal(403, "Forbidden", &format!("only admins may do this, not {}", user.name));
    }
    let gossip = match routes.gossip() {
        Ok(gossip) => gossip,
        Err(why) => return refusal(503, "ServiceUnavailable", why),
    };
    let keys = match *method {
        Method::GET => Ok(gossip.keys()),
        Method::POST => gossip.rotate_key().await,
        _ => return refusal(405, "MethodNotAllowed", "there is GET and POST"),
    };
    match keys {
        Ok(keys) => json_answer(&keys),
        Err(error @ AuthorityError::Rotating(_)) => refusal(409, "Conflict", &error.to_string()),
        Err(error) => refusal(500, "InternalError", &error.to_string()),
    }
}
