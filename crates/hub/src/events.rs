//! Events on the hub: what happened to an object, said once.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use kogge_member::{Client, ObjectKey, Resource};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Events that wait to be written; past that many news is worth less than memory, or waits itself.
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
    dropped: Dropped,
}

/// How many events found no room since that was last said.
type Dropped = Arc<AtomicU64>;

/// The events that are to be written.
pub(crate) struct Queue {
    receive: mpsc::Receiver<Event>,
    dropped: Dropped,
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
    pub fn new() -> (Self, Queue) {
        let (send, receive) = mpsc::channel(WAITING);
        let dropped = Dropped::default();
        (Self { send, dropped: dropped.clone() }, Queue { receive, dropped })
    }

    /// Queues an event. Never waits: an event is not worth holding up what it tells of.
    pub fn say(&self, event: Event) {
        if self.send.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues an event that may not be lost: waits while too many are waiting.
    pub async fn tell(&self, event: Event) {
        // Nobody writes them only while the hub stops.
        let _ = self.send.send(event).await;
    }
}

impl Queue {
    async fn next(&mut self) -> Option<Event> {
        if self.receive.is_empty() {
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if 0 < dropped {
                tracing::warn!(dropped, "events were dropped: too many were waiting");
            }
        }
        self.receive.recv().await
    }
}

/// Writes events until the recorder is gone.
pub(crate) async fn write(client: Client, mut queue: Queue, now: fn() -> Timestamp) {
    let events = Resource::new("", "v1", "Event", "events", true);
    let mut known: BTreeMap<(ObjectKey, String), (String, u32)> = BTreeMap::new();
    while let Some(event) = queue.next().await {
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

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::join_all};

    use super::*;

    const MOVES: usize = 2_000;

    fn event(number: usize) -> Event {
        Event {
            about: ObjectKey::new("apps", "Deployment", "shop", "web"),
            api_version: "apps/v1".into(),
            uid: String::new(),
            warning: true,
            reason: "FailedOver".into(),
            message: number.to_string(),
        }
    }

    #[tokio::test]
    async fn what_may_not_be_lost_waits_and_the_rest_is_counted() {
        let (recorder, mut queue) = Recorder::new();
        for number in 0..WAITING + 7 {
            recorder.say(event(number));
        }
        let tell = join_all((0..MOVES).map(|it| recorder.tell(event(it))));
        let read = async {
            for _ in 0..WAITING {
                queue.next().await;
            }
            let mut told = Vec::new();
            while told.len() < MOVES {
                told.extend(queue.next().await.map(|it| it.message));
            }
            told.sort();
            told
        };
        let (_, told) = tokio::join!(tell, read);
        let mut all: Vec<String> = (0..MOVES).map(|it| it.to_string()).collect();
        all.sort();
        assert_eq!(told, all);
        assert!(queue.next().now_or_never().is_none());
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0, "said, and begun anew");
    }
}
