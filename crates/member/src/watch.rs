//! A list that stays up to date: list, then watch from there, again whenever it breaks.
//!
//! A watcher tells of the whole state first ([`Seen::Reset`]) and of each change
//! after. After a break it starts over with a new `Reset`, so that a reader that
//! compares it with what it knew misses nothing, deletions included.

use std::time::Duration;

use futures::{Stream, TryStreamExt as _};
use http::{Method, header};
use kube::api::WatchEvent;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    client::{Client, encode, request},
    error::{Error, Fault},
    object::resource_version,
    resource::Resource,
};

/// What is watched of a resource.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Empty: all namespaces.
    pub namespace: String,
    pub label_selector: String,
    /// Labels, annotations, owners and managers only: a fraction of the bytes.
    pub metadata_only: bool,
}

#[derive(Debug)]
pub enum Seen {
    /// Everything there is at this resourceVersion. What was known and is not here is gone.
    Reset { items: Vec<Value>, version: String },
    /// Added or changed.
    Applied(Value),
    /// As it last was.
    Deleted(Value),
    /// The watch is broken; it goes on by itself with a `Reset`.
    Broken(Error),
}

/// Waits between attempts, doubled to the second figure: quick for a server
/// that restarts, gentle to one that is gone.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A watch that ends sooner is opened again only then.
const SHORTEST: Duration = Duration::from_millis(500);

/// The server ends a watch after this long, and it is opened again where it ended.
const TIMEOUT_SECONDS: u32 = 290;

const METADATA_OBJECT: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Watches for ever. Dropping the stream ends it.
pub fn watch(client: Client, resource: Resource, scope: Scope) -> impl Stream<Item = Seen> + Send {
    let (send, receive) = tokio::sync::mpsc::channel(64);
    let task = tokio::spawn(async move { follow(&client, &resource, &scope, &send).await });
    let abort = AbortOnDrop(task);
    futures::stream::unfold((receive, abort), |(mut receive, abort)| async move {
        receive.recv().await.map(|seen| (seen, (receive, abort)))
    })
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Sender = tokio::sync::mpsc::Sender<Seen>;

async fn follow(client: &Client, resource: &Resource, scope: &Scope, send: &Sender) {
    let mut wait = RETRY.0;
    loop {
        let listed = tokio::select! {
            listed = list(client, resource, scope) => listed,
            () = client.renewed() => continue,
        };
        let broken = match listed {
            Ok((items, mut version)) => {
                wait = RETRY.0;
                if send.send(Seen::Reset { items, version: version.clone() }).await.is_err() {
                    return;
                }
                loop {
                    let opened = Instant::now();
                    match events(client, resource, scope, &mut version, send).await {
                        Ok(()) if send.is_closed() => return,
                        // A proxy may answer every watch with nothing.
                        Ok(()) => tokio::time::sleep_until(opened + SHORTEST).await,
                        Err(error) => break error,
                    }
                }
            }
            Err(error) => error,
        };
        // History that is gone is no fault: it only means to list again.
        if matches!(broken.fault, Fault::Gone(_)) {
            tokio::time::sleep(RETRY.0).await;
            continue;
        }
        if send.send(Seen::Broken(broken)).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

async fn list(
    client: &Client,
    resource: &Resource,
    scope: &Scope,
) -> Result<(Vec<Value>, String), Error> {
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("{}?limit=500{}{next}", base(resource, scope), selector(scope));
        let mut asked = request(Method::GET, &path, "application/json", None);
        if scope.metadata_only {
            asked
                .headers_mut()
                .insert(header::ACCEPT, header::HeaderValue::from_static(METADATA_LIST));
        }
        let mut page: Value = client
            .kube
            .request(asked)
            .await
            .map_err(|error| Error::new("list", base(resource, scope), Fault::from(error)))?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more.into_iter().map(|item| named(item, resource)));
        }
        match page.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => next = format!("&continue={}", encode(token)),
            _ => return Ok((items, resource_version(&page).to_owned())),
        }
    }
}

/// One watch request, until the server ends it; `version` moves along.
async fn events(
    client: &Client,
    resource: &Resource,
    scope: &Scope,
    version: &mut String,
    send: &Sender,
) -> Result<(), Error> {
    let path = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={TIMEOUT_SECONDS}&resourceVersion={version}{}",
        base(resource, scope),
        selector(scope)
    );
    let mut asked = request(Method::GET, &path, "application/json", None);
    if scope.metadata_only {
        asked
            .headers_mut()
            .insert(header::ACCEPT, header::HeaderValue::from_static(METADATA_OBJECT));
    }
    let failed = |error| Error::new("watch", base(resource, scope), Fault::from(error));
    let mut renewed = std::pin::pin!(client.renewed());
    let stream = tokio::select! {
        stream = client.kube.request_events::<Value>(asked) => stream.map_err(failed)?,
        () = &mut renewed => return Ok(()),
    };
    let mut stream = std::pin::pin!(stream);
    loop {
        // Not around the sending below, since what is given up there would be lost.
        let event = tokio::select! {
            event = stream.try_next() => event.map_err(failed)?,
            () = &mut renewed => None,
        };
        let Some(event) = event else { return Ok(()) };
        let seen = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                resource_version(&object).clone_into(version);
                Seen::Applied(named(object, resource))
            }
            WatchEvent::Deleted(object) => {
                resource_version(&object).clone_into(version);
                Seen::Deleted(named(object, resource))
            }
            WatchEvent::Bookmark(mark) => {
                *version = mark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
        };
        if send.send(seen).await.is_err() {
            return Ok(());
        }
    }
}

fn base(resource: &Resource, scope: &Scope) -> String {
    resource.path(&scope.namespace, None)
}

fn selector(scope: &Scope) -> String {
    if scope.label_selector.is_empty() {
        String::new()
    } else {
        format!("&labelSelector={}", encode(&scope.label_selector))
    }
}

/// Says what it is: list items go without, and metadata comes as another kind.
fn named(mut object: Value, resource: &Resource) -> Value {
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.clone().into();
    object
}
