//! Requests of the controllers to the server they run in: the front door, without a socket.

use std::sync::Arc;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::{server::ApiServer, user::User};

/// A request that was answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refused {
    pub code: u16,
    pub message: String,
}

#[derive(Clone)]
pub(super) struct Caller {
    pub server: ApiServer,
    user: Arc<User>,
}

impl Caller {
    pub fn new(server: ApiServer, name: &str) -> Self {
        Self { server, user: Arc::new(User::system(name)) }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.ask(Method::GET, path, &Value::Null).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.ask(Method::PUT, path, body).await
    }

    /// A merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.ask(Method::PATCH, path, body).await
    }

    /// `options`: DeleteOptions, or null. An object that is gone already is no error.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<(), Refused> {
        match self.ask(Method::DELETE, path, options).await {
            Ok(_) | Err(Refused { code: 404, .. }) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Refused> {
        let media = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media)
            .header("accept", "application/json")
            .header("user-agent", &self.user.name)
            .body(Full::new(body.into()))
            .map_err(|error| Refused { code: 400, message: error.to_string() })?;
        let response = self.server.handle(self.user.clone(), request).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if code < 300 {
            return Ok(answer);
        }
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        Err(Refused { code, message })
    }
}
