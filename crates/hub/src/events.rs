//! Events on the hub: what happened to an object, said once.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::future::join_all;
use jiff::Timestamp;
use kogge_member::{Client, ObjectKey, Resource, object};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Events that wait to be written; past that many news is worth less than memory, or waits itself.
const WAITING: usize = 1_000;

/// So many are written at a time: they share the store's next write to disk.
const AT_ONCE: usize = 64;

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
            api_version: object::text(object, "/apiVersion").to_owned(),
            uid: object::uid(object).to_owned(),
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
    /// What waits, with how often the same was said; none when the recorder is gone.
    async fn batch(&mut self) -> Option<BTreeMap<Id, (Event, u32)>> {
        let mut batch: BTreeMap<Id, (Event, u32)> = BTreeMap::new();
        let mut next = Some(self.next().await?);
        while let Some(event) = next {
            let id = (event.about.clone(), event.message.clone());
            batch.entry(id).or_insert((event, 0)).1 += 1;
            next = if batch.len() < AT_ONCE { self.receive.try_recv().ok() } else { None };
        }
        Some(batch)
    }

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
    let mut known = Known::default();
    while let Some(batch) = queue.batch().await {
        if REMEMBERED < known.len() {
            known.clear();
        }
        let mut writing = Vec::new();
        for (id, (event, count)) in batch {
            let before = known.remove(&id);
            writing.push(write_one(&client, id, event, count, before, now()));
        }
        known.extend(join_all(writing).await.into_iter().flatten());
    }
}

/// What is said about which object.
type Id = (ObjectKey, String);

/// The name and the count of what was said before.
type Known = BTreeMap<Id, (String, u32)>;

async fn write_one(
    client: &Client,
    id: Id,
    event: Event,
    count: u32,
    before: Option<(String, u32)>,
    now: Timestamp,
) -> Option<(Id, (String, u32))> {
    let events = Resource::new("", "v1", "Event", "events", true);
    let written = if let Some((name, before)) = before {
        let count = before + count;
        let again = json!({"count": count, "lastTimestamp": second(now)});
        let merged = client.merge(&events, namespace_of(&event.about), &name, None, &again);
        merged.await.map(|_| (name, count))
    } else {
        let created = client.create(&events, &object(&event, count, now)).await;
        created.map(|it| (object::name(&it).to_owned(), count))
    };
    // If it expired, or its namespace is going, what is said next starts anew.
    written
        .inspect_err(|error| tracing::debug!(error = error.chain(), "could not write an event"))
        .ok()
        .map(|known| (id, known))
}

fn object(event: &Event, count: u32, now: Timestamp) -> Value {
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
        "reason": event.reason, "message": event.message, "count": count,
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

    #[tokio::test]
    async fn what_is_said_again_while_it_waits_is_written_once_and_counted() {
        let (recorder, mut queue) = Recorder::new();
        for number in [1, 2, 1, 1] {
            recorder.say(event(number));
        }
        let batch = queue.batch().await.expect("events wait");
        let counts: Vec<_> = batch.values().map(|it| (it.0.message.as_str(), it.1)).collect();
        assert_eq!(counts, [("1", 3), ("2", 1)]);
        for number in 0..=AT_ONCE {
            recorder.say(event(number));
        }
        assert_eq!(queue.batch().await.map(|it| it.len()), Some(AT_ONCE));
        drop(recorder);
        assert_eq!(queue.batch().await.map(|it| it.len()), Some(1));
        assert!(queue.batch().await.is_none());
    }
}
