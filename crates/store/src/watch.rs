//! Watches: cursors into the shared sequence of events, so a slow reader costs no memory.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::{Stream, StreamExt};
use tokio::time::Instant;

use crate::{
    state::State,
    types::{Event, Key, Revision},
};

/// Events read under one lock.
const BATCH: usize = 64;

/// What the writer and its watchers share.
pub(crate) struct Shared {
    state: RwLock<State>,
    sleeping: Mutex<BTreeMap<u64, Sleeper>>,
    next_watch: AtomicU64,
    closed: AtomicBool,
}

/// A watch that has read everything there was.
struct Sleeper {
    prefix: Arc<str>,
    /// Taken when something of its came.
    waker: Option<Waker>,
    /// Nothing before this place in the sequence concerns it, read or not: a watch
    /// of what rarely changes is not too slow when much else does.
    seen: u64,
}

impl Shared {
    pub fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: RwLock::new(state),
            sleeping: Mutex::default(),
            next_watch: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes durable events visible, and wakes those who watch their keys.
    pub fn publish(&self, events: Vec<Event>) {
        let mut keys: Vec<Key> = events.iter().map(|it| it.key.clone()).collect();
        keys.sort_unstable();
        let next_seq = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.publish(events, Instant::now());
            state.history.next_seq()
        };
        for sleeper in self.sleeping().values_mut().filter(|it| it.waker.is_some()) {
            let first = keys.partition_point(|key| **key < *sleeper.prefix);
            if !keys.get(first).is_some_and(|key| key.starts_with(&*sleeper.prefix)) {
                sleeper.seen = next_seq;
            } else if let Some(waker) = sleeper.waker.take() {
                waker.wake();
            }
        }
    }

    pub fn compact(&self, revision: Revision) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.history.compact(revision);
    }

    /// To be taken before the state, never after it.
    fn sleeping(&self) -> MutexGuard<'_, BTreeMap<u64, Sleeper>> {
        self.sleeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all watches.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for waker in self.sleeping().values_mut().filter_map(|it| it.waker.take()) {
            waker.wake();
        }
    }
}

/// A stream of events. Ends when the watcher is too slow or the store closes.
pub struct Watch {
    shared: Arc<Shared>,
    id: u64,
    prefix: Arc<str>,
    next_seq: u64,
    read: VecDeque<Event>,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, prefix: &str, next_seq: u64) -> Self {
        let id = shared.next_watch.fetch_add(1, Ordering::Relaxed);
        Self { shared, id, prefix: prefix.into(), next_seq, read: VecDeque::new() }
    }

    /// The next event; `None` when the watch has ended.
    pub async fn next(&mut self) -> Option<Event> {
        StreamExt::next(self).await
    }

    /// What comes next, or the end if that is forgotten already. Wakes nobody later.
    fn look(&mut self) -> Poll<Option<Event>> {
        if !self.fill() {
            return Poll::Ready(None);
        }
        self.read.pop_front().map_or(Poll::Pending, |event| Poll::Ready(Some(event)))
    }

    /// Reads ahead. False: what comes next is forgotten already.
    fn fill(&mut self) -> bool {
        let state = self.shared.read();
        let Some(events) = state.history.starting_at(self.next_seq) else { return false };
        for event in events {
            self.next_seq += 1;
            if event.key.starts_with(&*self.prefix) {
                self.read.push_back(event.clone());
                if BATCH <= self.read.len() {
                    break;
                }
            }
        }
        true
    }
}

impl Stream for Watch {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.read.pop_front() {
            return Poll::Ready(Some(event));
        }
        let shared = self.shared.clone();
        if let Some(slept) = shared.sleeping().remove(&self.id) {
            self.next_seq = self.next_seq.max(slept.seen);
        }
        // Most of the looking is done without the lock that all watches share.
        if let Poll::Ready(found) = self.look() {
            return Poll::Ready(found);
        }
        // Held while looking again and falling asleep, so that what is published in between
        // wakes this one.
        let mut sleeping = shared.sleeping();
        if let Poll::Ready(found) = self.look() {
            return Poll::Ready(found);
        }
        if self.shared.closed.load(Ordering::SeqCst) {
            return Poll::Ready(None);
        }
        let sleeper = Sleeper {
            prefix: self.prefix.clone(),
            waker: Some(cx.waker().clone()),
            seen: self.next_seq,
        };
        sleeping.insert(self.id, sleeper);
        Poll::Pending
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.sleeping().remove(&self.id);
    }
}
