//! Watches: cursors into the shared sequence of events, so a slow reader costs no memory.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures::{Stream, StreamExt};

use crate::{state::State, types::Event};

/// Events read under one lock.
const BATCH: usize = 64;

/// What the writer and its watchers share.
pub(crate) struct Shared {
    pub state: RwLock<State>,
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

    /// Makes durable events visible, and wakes those who watch their keys.
    pub fn publish(&self, events: Vec<Event>) {
        let keys: Vec<Arc<str>> = events.iter().map(|it| it.key.clone()).collect();
        let next_seq = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.publish(events);
            state.next_seq()
        };
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        for sleeper in sleeping.values_mut().filter(|it| it.waker.is_some()) {
            if !keys.iter().any(|key| key.starts_with(&*sleeper.prefix)) {
                sleeper.seen = next_seq;
            } else if let Some(waker) = sleeper.waker.take() {
                waker.wake();
            }
        }
    }

    /// Ends all watches.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mut sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        for waker in sleeping.values_mut().filter_map(|it| it.waker.take()) {
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

    /// Reads ahead. False: what comes next is forgotten already.
    fn fill(&mut self) -> bool {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(events) = state.events_from(self.next_seq) else { return false };
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
        // Held while looking and falling asleep, so that what is published in between wakes it.
        let shared = self.shared.clone();
        let mut sleeping = shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slept) = sleeping.remove(&self.id) {
            self.next_seq = self.next_seq.max(slept.seen);
        }
        if !self.fill() {
            return Poll::Ready(None);
        }
        if let Some(event) = self.read.pop_front() {
            return Poll::Ready(Some(event));
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
        let mut sleeping = self.shared.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        sleeping.remove(&self.id);
    }
}
