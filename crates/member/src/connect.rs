//! From an address and credentials to a client.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use kube::{
    Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use tower::{BoxError, Service};

use crate::client::Client;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the kubeconfig cannot be read: {0}")]
    Kubeconfig(String),
    #[error("{0} is not a URL")]
    Url(String),
    #[error("no client could be made: {0}")]
    Client(String),
}

/// What a Cluster's Secret holds. `Debug` shows no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `https://host:port`
    pub server: String,
    /// PEM; the system's roots if there is none.
    pub ca: Option<Vec<u8>>,
    pub token: String,
    pub insecure_skip_tls_verification: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A client for a context of a kubeconfig's text; the current one if none is named.
pub async fn from_kubeconfig(yaml: &str, context: Option<&str>) -> Result<Client, ConnectError> {
    let kubeconfig =
        Kubeconfig::from_yaml(yaml).map_err(|it| ConnectError::Kubeconfig(chain(&it)))?;
    let options =
        KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|it| ConnectError::Kubeconfig(chain(&it)))?;
    from_config(config)
}

/// A client with a bearer token, as a joined cluster gives.
pub async fn from_token(credentials: &Credentials) -> Result<Client, ConnectError> {
    let is_url = |it: &http::Uri| it.scheme().is_some() && it.host().is_some();
    if !credentials.server.parse().is_ok_and(|it| is_url(&it)) {
        return Err(ConnectError::Url(credentials.server.clone()));
    }
    let mut cluster = json!({ "server": credentials.server });
    if let Some(pem) = &credentials.ca {
        cluster["certificate-authority-data"] = STANDARD.encode(pem).into();
    }
    if credentials.insecure_skip_tls_verification {
        cluster["insecure-skip-tls-verify"] = true.into();
    }
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": credentials.token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    // JSON is YAML too.
    from_kubeconfig(&kubeconfig.to_string(), None).await
}

/// A client of an API server in this process.
pub fn from_service<S, B>(service: S) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Client::new(kube::Client::new(service, "default"))
}

fn from_config(mut config: Config) -> Result<Client, ConnectError> {
    // A watch is silent between bookmarks, about a minute; longer than that is a dead connection.
    config.read_timeout = Some(std::time::Duration::from_mins(5));
    // Who asks knows what to do about a refusal, such as that of an eviction, and when.
    config.default_retry = false;
    let kube = kube::Client::try_from(config).map_err(|it| ConnectError::Client(chain(&it)))?;
    Ok(Client::new(kube))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !said.contains(&words) {
            said.push_str(": ");
            said.push_str(&words);
        }
        source = cause.source();
    }
    said
}
