//! A server in memory, asked in process.
#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use kogge_apiserver::{ApiServer, Authorization, Body, Config, LocalService, User};
use kogge_store::Embedded;
use serde_json::Value;
use tower::{Service, ServiceExt};

pub struct TestServer {
    pub server: ApiServer,
    user: User,
}

pub struct Answer {
    pub code: u16,
    pub body: Value,
    pub warnings: Vec<String>,
}

pub fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub fn config() -> Config {
    Config {
        kinds: Vec::new(),
        admission: Vec::new(),
        authorization: Authorization::Rbac,
        now,
        git_version: "v1.37.0".into(),
        event_ttl: Duration::from_hours(1),
    }
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: Config) -> Self {
        let server = ApiServer::start(Arc::new(Embedded::in_memory()), config).await.unwrap();
        Self { server, user: User::system("admin") }
    }

    /// The same server, asked by somebody else.
    pub fn as_user(&self, user: User) -> Self {
        Self { server: self.server.clone(), user }
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<Body> {
        let mut service = self.server.local(self.user.clone());
        let ready: &mut LocalService =
            ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
        ready.call(request).await.unwrap()
    }

    pub async fn ask(&self, method: &str, path: &str, content: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .header("user-agent", "test/1.0")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = self.send(request).await;
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|it| it.to_str().unwrap().to_owned()).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { code, body, warnings }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", String::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path, "application/json", body.to_string()).await
    }

    pub async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.ask("PATCH", path, "application/merge-patch+json", body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, "", String::new()).await
    }

    /// Opens a watch; its events come as they happen.
    pub async fn watch(&self, path: &str) -> Watching {
        let request = Request::get(path).body(Full::default()).unwrap();
        let response = self.send(request).await;
        assert_eq!(response.status(), 200, "{path}");
        Watching { body: response.into_body(), buffer: Vec::new() }
    }
}

pub struct Watching {
    body: Body,
    buffer: Vec<u8>,
}

impl Watching {
    /// The next event, `None` at the end of the watch.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|it| *it == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let wait = Duration::from_secs(10);
            let frame = tokio::time::timeout(wait, self.body.frame())
                .await
                .expect("an event comes in time")?;
            self.buffer.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    /// Type and name of the next event.
    pub async fn brief(&mut self) -> String {
        match self.next().await {
            Some(event) => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
                format!("{} {name}", event["type"].as_str().unwrap_or_default())
            }
            None => "end".into(),
        }
    }
}
