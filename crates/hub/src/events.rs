//! Events on the hub: what happened to an object, said once.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use kogge_member::{Client, ObjectKey, Resource};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Events that wait to be written; past that many the oldest news is worth less than memory.
const WAITING: usize = 1_000;

/// The same words about the same object are counted, not repeated.
const REMEMBERED: usize = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub about: ObjectKey,
    pub api_version: String,
    pub uid: String,
    pub warning: bool,
    pub reason: Cow<'static, str>,
    pub message: String,
}

#[derive(Clone)]
pub(crate) struct Recorder {
    send: mpsc::Sender<Event>,
}

impl Event {
    /// An event about an object as it is stored.
    pub fn about(
        object: &Value,
        warning: bool,
        reason: impl Into<Cow<'static, str>>,
        message: String,
    ) -> Self {
        Self {
            about: ObjectKey::of(object),
            api_version: kogge_member::object::text(object, "/apiVersion").to_owned(),
            uid: kogge_member::object::uid(object).to_owned(),
            warning,
            reason: reason.into(),
            message,
        }
    }
}

impl Recorder {
    pub fn new() -> (Self, mpsc::Receiver<Event>) {
        let (send, receive) = mpsc::channel(WAITING);
        (Self { send }, receive)
    }

    /// Queues an event. Never waits: an event is not worth holding up what it tells of.
    pub fn say(&self, event: Event) {
        if self.send.try_send(event).is_err() {
            tracing::warn!("an event was dropped: too many are waiting");
        }
    }
}

/// Writes events until the recorder is gone.
pub(crate) async fn write(
    client: Client,
    mut receive: mpsc::Receiver<Event>,
    now: fn() -> Timestamp,
) {
    let events = Resource::new("", "v1", "Event", "events", true);
    let mut known: BTreeMap<(ObjectKey, String), (String, u32)> = BTreeMap::new();
    while let Some(event) = receive.recv().await {
        if REMEMBERED < known.len() {
            known.clear();
        }
        let id = (event.about.clone(), event.message.clone());
        let written = if let Some((name, count)) = known.get_mut(&id) {
            *count += 1;
            let again = json!({"count": count, "lastTimestamp": second(now())});
            let namespace = namespace_of(&event.about);
            client.merge(&events, namespace, name, None, &again).await
        } else {
            let written = client.create(&events, &object(&event, now())).await;
            if let Ok(made) = &written {
                let name = kogge_member::object::name(made).to_owned();
                known.insert(id.clone(), (name, 1));
            }
            written
        };
        if let Err(error) = written {
            // The event expired, or its namespace is going: what is said next starts anew.
            known.remove(&id);
            tracing::debug!(error = error.chain(), "could not write an event");
        }
    }
}

fn object(event: &Event, now: Timestamp) -> Value {
    let about = &event.about;
    let namespace = namespace_of(about);
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": format!("{}.", about.name.replace(':', "-")), "namespace": namespace},
        "involvedObject": {
            "apiVersion": event.api_version, "kind": about.kind, "name": about.name,
            "namespace": about.namespace, "uid": event.uid,
        },
        "type": if event.warning { "Warning" } else { "Normal" },
        "reason": event.reason, "message": event.message, "count": 1,
        "firstTimestamp": second(now), "lastTimestamp": second(now),
        "source": {"component": "kogge"}, "reportingComponent": "kogge",
    })
}

/// Events about what has no namespace live in `default`, as kubectl looks for them.
fn namespace_of(about: &ObjectKey) -> &str {
    if about.namespace.is_empty() { "default" } else { &about.namespace }
}

/// Event times have whole seconds.
fn second(at: Timestamp) -> String {
    format!("{at:.0}")
}
