//! The embedded store: memory and log, with one writer that commits in groups.
//!
//! Transactions queue up while the disk syncs and the next group takes them all:
//! one fsync for many writers. Nothing is read, watched or acknowledged before it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Store,
    log::{self, Batch, Log, OpenError},
    state::{Keep, Pending, State},
    types::{Entry, Event, HistoryError, Key, Op, Page, RangeQuery, Revision, TxnError},
    watch::{Shared, Watch},
};

/// Transactions in one group: bounds the wait of the first behind the last.
const GROUP: usize = 1024;

/// How much history is kept for watches and paged lists.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub kept_events: usize,
    pub kept_bytes: usize,
}

/// Enough for a client that was away for some seconds of full load, or minutes of
/// the usual one; it lists again after that.
impl Default for Options {
    fn default() -> Self {
        Self { kept_events: 10_000, kept_bytes: 32 << 20 }
    }
}

/// A store in this process. Closes when it is dropped.
pub struct Embedded {
    id: Uuid,
    shared: Arc<Shared>,
    writer: Writer,
}

enum Writer {
    /// No disk: a lock is all that order needs.
    Memory(Mutex<()>),
    Disk {
        send: Option<mpsc::Sender<Request>>,
        thread: Option<JoinHandle<()>>,
    },
}

struct Request {
    ops: Vec<Op>,
    answer: oneshot::Sender<Result<Revision, TxnError>>,
}

impl Embedded {
    /// The same semantics without a disk; gone when it is dropped.
    pub fn in_memory() -> Self {
        Self::in_memory_with(Options::default())
    }

    pub fn in_memory_with(options: Options) -> Self {
        let shared = Shared::new(State::new([], 0, keep(options)));
        Self { id: Uuid::new_v4(), shared, writer: Writer::Memory(Mutex::new(())) }
    }

    /// The store of a directory, made if it is missing. Blocks while it loads.
    pub fn open(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let (log, loaded) = Log::open(directory)?;
        let id = log.id();
        let places: Places = loaded
            .entries
            .iter()
            .map(|(it, index)| (it.key.clone(), (it.modified, *index)))
            .collect();
        let entries = loaded.entries.into_iter().map(|(it, _)| it);
        let shared = Shared::new(State::new(entries, loaded.revision, keep(options)));
        let (send, receive) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let shared = shared.clone();
                move || commit_groups(&log, &shared, places, &receive)
            })
            .map_err(|error| OpenError::Failed {
                file: directory.to_owned(),
                reason: error.to_string(),
            })?;
        let writer = Writer::Disk { send: Some(send), thread: Some(thread) };
        Ok(Self { id, shared, writer })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn commit_in_memory(&self, order: &Mutex<()>, ops: &[Op]) -> Result<Revision, TxnError> {
        let _order = order.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, events) = self.read(|state| {
            let events = state.plan(&Pending::new(), ops, state.revision() + 1)?;
            Ok((state.revision(), events))
        })?;
        if events.is_empty() {
            return Ok(revision);
        }
        self.shared.publish(events);
        Ok(revision + 1)
    }
}

fn keep(options: Options) -> Keep {
    Keep { events: options.kept_events, bytes: options.kept_bytes }
}

impl Store for Embedded {
    fn id(&self) -> Uuid {
        self.id
    }

    fn txn(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Revision, TxnError>> {
        match &self.writer {
            Writer::Memory(order) => {
                futures::future::ready(self.commit_in_memory(order, &ops)).boxed()
            }
            Writer::Disk { send, .. } => {
                let (answer, answered) = oneshot::channel();
                let sent = send.as_ref().is_some_and(|it| it.send(Request { ops, answer }).is_ok());
                async move {
                    let closed = || TxnError::Unavailable("it is closed".to_owned());
                    if sent { answered.await.map_err(|_| closed())? } else { Err(closed()) }
                }
                .boxed()
            }
        }
    }

    fn revision(&self) -> Revision {
        self.read(State::revision)
    }

    fn get(&self, key: &str) -> Option<Entry> {
        self.read(|state| state.get(key).cloned())
    }

    fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError> {
        self.read(|state| state.range(query))
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, HistoryError> {
        let seq = self.read(|state| state.seq_after(after))?;
        Ok(Watch::new(self.shared.clone(), prefix, seq))
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), TxnError>> {
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner).compact(revision);
        futures::future::ready(Ok(())).boxed()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Writer::Disk { send, thread } = &mut self.writer {
            // The writer finishes what it has and ends when nobody can ask any more.
            send.take();
            if let Some(thread) = thread.take()
                && thread.join().is_err()
            {
                tracing::error!("the store's writer panicked");
            }
        }
        self.shared.close();
    }
}

/// Where the live row of each key is.
type Places = BTreeMap<Key, (Revision, u32)>;

fn commit_groups(
    log: &Log,
    shared: &Shared,
    mut places: Places,
    receive: &mpsc::Receiver<Request>,
) {
    while let Ok(first) = receive.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = receive.try_recv()
        {
            group.push(next);
        }
        let (answers, events) = plan_group(shared, group);
        let stored = if events.is_empty() { Ok(()) } else { log.write(&batch(&events, &places)) };
        match stored {
            Ok(()) => {
                remember(&mut places, &events);
                if !events.is_empty() {
                    shared.publish(events);
                }
                for (answer, result) in answers {
                    // A caller that went away does not undo what is durable.
                    let _ = answer.send(result);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the store could not write");
                for (answer, result) in answers {
                    let refused =
                        result.and_then(|_| Err(TxnError::Unavailable(error.to_string())));
                    let _ = answer.send(refused);
                }
            }
        }
    }
}

type Answer = (oneshot::Sender<Result<Revision, TxnError>>, Result<Revision, TxnError>);

/// Each transaction sees those before it, and takes the next revision if it changes anything.
fn plan_group(shared: &Shared, group: Vec<Request>) -> (Vec<Answer>, Vec<Event>) {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let mut revision = state.revision();
    let mut pending = Pending::new();
    let (mut answers, mut all) = (Vec::new(), Vec::new());
    for Request { ops, answer } in group {
        let result = state.plan(&pending, &ops, revision + 1).map(|events| {
            if !events.is_empty() {
                revision += 1;
            }
            for event in &events {
                pending.insert(event.key.clone(), entry(event));
            }
            all.extend(events);
            revision
        });
        answers.push((answer, result));
    }
    (answers, all)
}

fn entry(event: &Event) -> Option<Entry> {
    let value = event.value.clone()?;
    let created = event.previous.as_ref().map_or(event.revision, |it| it.created);
    Some(Entry { key: event.key.clone(), value, created, modified: event.revision })
}

/// The last row of each key that the group touches is written; the ones before it are removed.
fn batch(events: &[Event], places: &Places) -> Batch {
    let mut last: BTreeMap<&Key, (Revision, u32, &Event)> = BTreeMap::new();
    for (index, event) in numbered(events) {
        last.insert(&event.key, (event.revision, index, event));
    }
    let mut batch = Batch::default();
    for (key, (revision, index, event)) in last {
        if let Some(place) = places.get(key) {
            batch.removes.push(*place);
        }
        if let Some(value) = &event.value {
            batch.puts.push(((revision, index), log::row(event, value)));
        }
        batch.revision = batch.revision.max(revision);
    }
    batch
}

fn remember(places: &mut Places, events: &[Event]) {
    for (index, event) in numbered(events) {
        match event.value {
            Some(_) => places.insert(event.key.clone(), (event.revision, index)),
            None => places.remove(&event.key),
        };
    }
}

/// Events with their place in their revision.
fn numbered(events: &[Event]) -> impl Iterator<Item = (u32, &Event)> {
    let mut at = (0, 0_u32);
    events.iter().map(move |event| {
        at = if at.0 == event.revision { (at.0, at.1 + 1) } else { (event.revision, 0) };
        (at.1, event)
    })
}
