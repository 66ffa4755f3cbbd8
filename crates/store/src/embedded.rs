//! The embedded store: one process, its memory, and a log on disk unless told otherwise.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Store,
    file::{self, Directory},
    history::Keep,
    log::{Log, OpenError, Opener},
    state::{Pending, State},
    types::{Entry, HistoryError, Op, Page, RangeQuery, Revision, TxnError},
    watch::{Shared, Watch},
    writer::{self, Places, Request},
};

/// How much history is kept for watches and paged lists: as long as none of these
/// is exceeded. What falls behind lists again.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub kept_events: usize,
    /// Bytes of superseded values.
    pub kept_bytes: usize,
    /// Checked when something is written.
    pub kept_for: Duration,
    /// The identity of a store that is made; any unless given. One that is there keeps its own.
    pub id: Option<Uuid>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kept_events: 10_000,
            kept_bytes: 32 << 20,
            kept_for: Duration::from_mins(5),
            id: None,
        }
    }
}

/// A store in this process. Closes when it is dropped: what was asked is still
/// committed, and all watches end.
pub struct Embedded {
    id: Uuid,
    shared: Arc<Shared>,
    writer: Writer,
    /// Held until the log is closed.
    directory: Option<Directory>,
}

enum Writer {
    /// No disk: a lock is all that order needs.
    Memory(Mutex<()>),
    Disk {
        send: Option<mpsc::Sender<Request>>,
        thread: Option<JoinHandle<()>>,
    },
}

impl Embedded {
    /// The same semantics without a disk; gone when it is dropped.
    pub fn in_memory() -> Self {
        Self::in_memory_with(Options::default())
    }

    pub fn in_memory_with(options: Options) -> Self {
        let shared = Shared::new(State::new([], 0, options.keep()));
        let writer = Writer::Memory(Mutex::new(()));
        Self { id: options.id.unwrap_or_else(Uuid::new_v4), shared, writer, directory: None }
    }

    /// The store of a directory, made if it is missing. Blocks while it loads.
    /// History starts anew: only watches from the newest revision can go on.
    pub fn open(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let directory = Directory::lock(directory)?;
        let file = directory.file.clone();
        let mut store =
            Self::open_log(Box::new(move || file::open(&file)), &directory.file, options)?;
        store.directory = Some(directory);
        Ok(store)
    }

    pub(crate) fn open_log(open: Opener, file: &Path, options: Options) -> Result<Self, OpenError> {
        let (log, loaded) = Log::open(open, file.to_owned(), options.id)?;
        let id = log.id();
        let places: Places =
            loaded.entries.iter().map(|(it, place)| (it.key.clone(), *place)).collect();
        let entries = loaded.entries.into_iter().map(|(it, _)| it);
        let shared = Shared::new(State::new(entries, loaded.revision, options.keep()));
        let (send, receive) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let shared = shared.clone();
                move || writer::run(log, &shared, places, &receive)
            })
            .map_err(|error| OpenError::Failed { file: file.to_owned(), source: error.into() })?;
        let writer = Writer::Disk { send: Some(send), thread: Some(thread) };
        Ok(Self { id, shared, writer, directory: None })
    }

    fn commit_in_memory(&self, order: &Mutex<()>, ops: &[Op]) -> Result<Revision, TxnError> {
        let _order = order.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, events) = {
            let state = self.shared.read();
            let next = state.revision() + 1;
            (state.revision(), state.plan(&Pending::new(), ops, next)?)
        };
        if events.is_empty() {
            return Ok(revision);
        }
        self.shared.publish(events);
        Ok(revision + 1)
    }
}

impl Options {
    fn keep(self) -> Keep {
        Keep { events: self.kept_events, bytes: self.kept_bytes, age: self.kept_for }
    }
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
        self.shared.read().revision()
    }

    fn get(&self, key: &str) -> Option<Entry> {
        self.shared.read().get(key).cloned()
    }

    fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError> {
        self.shared.read().range(query)
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, HistoryError> {
        let seq = self.shared.read().history.seq_after(after)?;
        Ok(Watch::new(self.shared.clone(), prefix, seq))
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), TxnError>> {
        self.shared.compact(revision);
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
        self.directory.take();
    }
}
