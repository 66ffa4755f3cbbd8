//! The verbs, on plain JSON objects.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::{
    error::{Error, Fault},
    kinds::Kinds,
    resource::Resource,
};

/// As long as an API server takes for a request at most, unless it is told otherwise.
const PATIENCE: Duration = Duration::from_mins(1);

const JSON: &str = "application/json";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// A client of one cluster's API. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) kube: kube::Client,
    pub(crate) kinds: Arc<Kinds>,
    renewals: tokio::sync::watch::Sender<()>,
}

/// How a server-side apply is made.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    pub manager: &'a str,
    /// Take fields over from other managers instead of failing with a conflict.
    pub force: bool,
    pub dry_run: bool,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// `Background` (if none is given), `Foreground` or `Orphan`.
    pub propagation: Option<&'static str>,
    pub grace_period_seconds: Option<u32>,
}

impl Client {
    pub fn new(kube: kube::Client) -> Self {
        Self { kube, kinds: Arc::default(), renewals: tokio::sync::watch::Sender::new(()) }
    }

    /// Gives up what is under way, of all clones; watches go on over new connections. For a server
    /// that is back from silence: a connection that died with it would be waited on for minutes.
    pub fn renew(&self) {
        self.renewals.send_replace(());
    }

    /// Returns when the client is renewed next.
    pub(crate) async fn renewed(&self) {
        // The sender lives as long as the client does.
        let _ = self.renewals.subscribe().changed().await;
    }

    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Error> {
        let path = resource.path(namespace, Some(name));
        self.send("get", &path, request(Method::GET, &path, JSON, None)).await
    }

    /// Labels, annotations, owners and managers of an object, without the rest.
    pub async fn get_metadata(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Error> {
        let path = resource.path(namespace, Some(name));
        let mut asked = request(Method::GET, &path, JSON, None);
        asked.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(METADATA_ONLY));
        self.send("get", &path, asked).await
    }

    /// All objects of a namespace, or of all with an empty one.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        label_selector: &str,
    ) -> Result<Vec<Value>, Error> {
        let mut query = String::from("?limit=500");
        if !label_selector.is_empty() {
            query.push_str("&labelSelector=");
            query.push_str(&encode(label_selector));
        }
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{}{query}{next}", resource.path(namespace, None));
            let mut page =
                self.send("list", &path, request(Method::GET, &path, JSON, None)).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => next = format!("&continue={}", encode(token)),
                _ => break,
            }
        }
        for item in &mut items {
            // Items of a list go without; whoever keeps one needs to know what it is.
            item["apiVersion"] = resource.api_version().into();
            item["kind"] = resource.kind.clone().into();
        }
        Ok(items)
    }

    pub async fn create(&self, resource: &Resource, object: &Value) -> Result<Value, Error> {
        let path = resource.path(crate::object::namespace(object), None);
        self.send("create", &path, request(Method::POST, &path, JSON, Some(object))).await
    }

    /// Replaces an object; its resourceVersion, if set, must still be the newest.
    pub async fn update(&self, resource: &Resource, object: &Value) -> Result<Value, Error> {
        let (namespace, name) = (crate::object::namespace(object), crate::object::name(object));
        let path = resource.path(namespace, Some(name));
        self.send("update", &path, request(Method::PUT, &path, JSON, Some(object))).await
    }

    /// Server-side apply.
    pub async fn apply(
        &self,
        resource: &Resource,
        object: &Value,
        how: Apply<'_>,
    ) -> Result<Value, Error> {
        let (namespace, name) = (crate::object::namespace(object), crate::object::name(object));
        let mut path = resource.path(namespace, Some(name));
        path.push_str("?fieldManager=");
        path.push_str(&encode(how.manager));
        if how.force {
            path.push_str("&force=true");
        }
        if how.dry_run {
            path.push_str("&dryRun=All");
        }
        let asked = request(Method::PATCH, &path, "application/apply-patch+yaml", Some(object));
        self.send("apply", &path, asked).await
    }

    /// JSON merge patch, of the object or (`subresource`) of its status or scale.
    pub async fn merge(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        subresource: Option<&str>,
        patch: &Value,
    ) -> Result<Value, Error> {
        let mut path = resource.path(namespace, Some(name));
        if let Some(subresource) = subresource {
            path.push('/');
            path.push_str(subresource);
        }
        let asked = request(Method::PATCH, &path, "application/merge-patch+json", Some(patch));
        self.send("patch", &path, asked).await
    }

    /// JSON merge patch of an object with all that `object` says, for a field manager of its own.
    pub async fn merge_as(
        &self,
        resource: &Resource,
        object: &Value,
        manager: &str,
    ) -> Result<Value, Error> {
        let (namespace, name) = (crate::object::namespace(object), crate::object::name(object));
        let mut path = resource.path(namespace, Some(name));
        path.push_str("?fieldManager=");
        path.push_str(&encode(manager));
        let asked = request(Method::PATCH, &path, "application/merge-patch+json", Some(object));
        self.send("patch", &path, asked).await
    }

    /// JSON patch: a list of operations, all of them or none.
    pub async fn json_patch(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        operations: &Value,
    ) -> Result<Value, Error> {
        let path = resource.path(namespace, Some(name));
        let asked = request(Method::PATCH, &path, "application/json-patch+json", Some(operations));
        self.send("patch", &path, asked).await
    }

    /// POST to a subresource, such as a pod's `eviction` or `binding`.
    pub async fn post(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        subresource: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let path = format!("{}/{subresource}", resource.path(namespace, Some(name)));
        self.send("create", &path, request(Method::POST, &path, JSON, Some(body))).await
    }

    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), Error> {
        let path = resource.path(namespace, Some(name));
        let mut body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1",
            "propagationPolicy": options.propagation.unwrap_or("Background"),
        });
        if let Some(uid) = &options.uid {
            body["preconditions"] = json!({"uid": uid});
        }
        if let Some(seconds) = options.grace_period_seconds {
            body["gracePeriodSeconds"] = seconds.into();
        }
        self.send("delete", &path, request(Method::DELETE, &path, JSON, Some(&body))).await?;
        Ok(())
    }

    /// Any GET, for `/version`, `/readyz?verbose` and the like.
    pub async fn raw(&self, path: &str) -> Result<String, Error> {
        self.kube
            .request_text(request(Method::GET, path, JSON, None))
            .await
            .map_err(|error| Error::new("get", path, Fault::from(error)))
    }

    async fn send(
        &self,
        verb: &'static str,
        path: &str,
        asked: Request<Vec<u8>>,
    ) -> Result<Value, Error> {
        let what = path.split('?').next().unwrap_or(path);
        let given_up = |why: &str| Fault::Unreachable(why.to_owned());
        let answered = tokio::select! {
            answered = self.kube.request(asked) => answered.map_err(Fault::from),
            () = self.renewed() => Err(given_up("the connection was given up")),
            () = tokio::time::sleep(PATIENCE) => Err(given_up("no answer within a minute")),
        };
        answered.map_err(|fault| Error::new(verb, what, fault))
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Request<Vec<u8>> {
    let body = body.map(|it| serde_json::to_vec(it).expect("JSON values always serialise"));
    let mut asked = Request::new(body.unwrap_or_default());
    *asked.method_mut() = method;
    *asked.uri_mut() = path.parse().unwrap_or_else(|_| http::Uri::from_static("/invalid-path"));
    let content_type = header::HeaderValue::from_str(content_type)
        .expect("content types here are constants of visible ASCII");
    asked.headers_mut().insert(header::CONTENT_TYPE, content_type);
    asked.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(JSON));
    asked
}

/// Percent-encodes a query value.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}
