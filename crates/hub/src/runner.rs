//! Runs controllers: one queue of keys each, no key twice at once, waits after failures.
//!
//! A controller says which keys a change concerns and reconciles one key at a
//! time. Retry, pace and logging are here, once, and not in any of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use kogge_member::{Fault, ObjectKey};
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};

use crate::{cache::Changed, recovery::Recovering};

/// First and longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_mins(1));

/// Longest sleep with nothing due.
const IDLE: Duration = Duration::from_mins(1);

/// When to look at a key again without being told.
pub(crate) type Again = Option<Duration>;

pub(crate) trait Controller: Send + Sync + 'static {
    const NAME: &'static str;

    /// How many keys are reconciled at once.
    const AT_ONCE: usize = 16;

    /// How long news of a key are gathered before it is reconciled.
    const GATHER: Duration = Duration::ZERO;

    /// Whether it decides where things are: then it waits while the hub's state is in doubt.
    const DECIDES: bool = false;

    /// The keys that a change concerns.
    fn concerns(&self, change: &Changed) -> Vec<ObjectKey>;

    fn reconcile(
        &self,
        key: &ObjectKey,
    ) -> impl Future<Output = Result<Again, kogge_member::Error>> + Send;
}

/// Where a controller hears of keys; `idle` turns true when its queue first ran empty.
#[derive(Clone)]
pub(crate) struct Handle {
    send: mpsc::UnboundedSender<Message>,
    idle: watch::Receiver<bool>,
}

enum Message {
    Look(ObjectKey),
    /// All keys of the first pass have been sent.
    Primed,
}

impl Handle {
    pub fn look_at(&self, key: ObjectKey) {
        // A runner that has stopped has nothing to look at.
        let _ = self.send.send(Message::Look(key));
    }

    pub fn primed(&self) {
        let _ = self.send.send(Message::Primed);
    }

    /// Returns when everything there was at the start has been reconciled once.
    pub async fn settled(&self) {
        let mut idle = self.idle.clone();
        // The runner is gone only when the hub stops.
        let _ = idle.wait_for(|it| *it).await;
    }
}

pub(crate) fn start<C: Controller>(
    controller: Arc<C>,
    recovering: watch::Receiver<Option<Recovering>>,
    tasks: &mut JoinSet<()>,
) -> Handle {
    let (send, receive) = mpsc::unbounded_channel();
    let (settled, idle) = watch::channel(false);
    let queue = Queue {
        controller,
        receive,
        recovering,
        settled,
        primed: false,
        due: BTreeMap::new(),
        order: BTreeSet::new(),
        busy: BTreeMap::new(),
        tasks: HashMap::new(),
        failures: BTreeMap::new(),
    };
    tasks.spawn(queue.run());
    Handle { send, idle }
}

struct Queue<C> {
    controller: Arc<C>,
    receive: mpsc::UnboundedReceiver<Message>,
    recovering: watch::Receiver<Option<Recovering>>,
    settled: watch::Sender<bool>,
    primed: bool,
    /// When each waiting key is due, and the same in order of time.
    due: BTreeMap<ObjectKey, Instant>,
    order: BTreeSet<(Instant, ObjectKey)>,
    /// Keys under way; true if they have to be looked at again after.
    busy: BTreeMap<ObjectKey, bool>,
    /// The key of each task: one that panics cannot say it.
    tasks: HashMap<Id, ObjectKey>,
    failures: BTreeMap<ObjectKey, u32>,
}

type Finished = Result<Again, kogge_member::Error>;

fn panicked(key: &ObjectKey, error: &JoinError) -> kogge_member::Error {
    let fault = Fault::Server(error.to_string());
    kogge_member::Error { verb: "reconcile", what: key.to_string(), fault }
}

impl<C: Controller> Queue<C> {
    async fn run(mut self) {
        let mut running: JoinSet<Finished> = JoinSet::new();
        loop {
            let waits = C::DECIDES && self.recovering.borrow_and_update().is_some();
            if !waits {
                self.start_due(&mut running);
            }
            let next = self.order.first().map_or_else(|| Instant::now() + IDLE, |(at, _)| *at);
            tokio::select! {
                message = self.receive.recv() => match message {
                    Some(Message::Look(key)) => self.look_at(key),
                    Some(Message::Primed) => self.primed = true,
                    None => return,
                },
                Some(finished) = running.join_next_with_id() => {
                    let id = finished.as_ref().map_or_else(JoinError::id, |it| it.0);
                    if let Some(key) = self.tasks.remove(&id) {
                        let result = finished.unwrap_or_else(|it| (id, Err(panicked(&key, &it)))).1;
                        self.finish(&key, result);
                    }
                }
                Ok(()) = self.recovering.changed() => {}
                () = tokio::time::sleep_until(next), if running.len() < C::AT_ONCE && !waits => {}
            }
        }
    }

    fn start_due(&mut self, running: &mut JoinSet<Finished>) {
        let now = Instant::now();
        while running.len() < C::AT_ONCE {
            let Some((at, key)) = self.order.first().cloned() else { break };
            if now < at {
                break;
            }
            self.order.pop_first();
            self.due.remove(&key);
            self.busy.insert(key.clone(), false);
            let controller = self.controller.clone();
            let task = running.spawn({
                let key = key.clone();
                async move { controller.reconcile(&key).await }
            });
            self.tasks.insert(task.id(), key);
        }
        if self.primed && running.is_empty() && !*self.settled.borrow() {
            self.settled.send_replace(true);
        }
    }

    fn look_at(&mut self, key: ObjectKey) {
        if let Some(again) = self.busy.get_mut(&key) {
            *again = true;
        } else {
            self.enqueue(key, Instant::now() + C::GATHER);
        }
    }

    /// Keeps the sooner of two times.
    fn enqueue(&mut self, key: ObjectKey, at: Instant) {
        if let Some(known) = self.due.get(&key) {
            if *known <= at {
                return;
            }
            self.order.remove(&(*known, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
    }

    fn finish(&mut self, key: &ObjectKey, result: Finished) {
        let now = Instant::now();
        let again = self.busy.remove(key).unwrap_or(false);
        match result {
            Ok(after) => {
                self.failures.remove(key);
                if let Some(after) = after {
                    self.enqueue(key.clone(), now + after);
                }
            }
            Err(error) => {
                let failures = self.failures.entry(key.clone()).or_default();
                let wait = RETRY.0.saturating_mul(1 << (*failures).min(10)).min(RETRY.1);
                *failures += 1;
                // The first conflict is the normal course of two writers.
                if 1 < *failures || !error.is_conflict() {
                    let error = error.chain();
                    tracing::warn!(controller = C::NAME, %key, error, "reconcile failed");
                }
                self.enqueue(key.clone(), now + wait);
            }
        }
        if again {
            self.enqueue(key.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::lock::lock;

    /// Panics at the first run of each key, with the lock in its hand.
    #[derive(Default)]
    struct Nervous(Mutex<BTreeMap<ObjectKey, u32>>);

    impl Controller for Nervous {
        const NAME: &'static str = "nervous";
        const AT_ONCE: usize = 1;

        fn concerns(&self, _: &Changed) -> Vec<ObjectKey> {
            Vec::new()
        }

        async fn reconcile(&self, key: &ObjectKey) -> Result<Again, kogge_member::Error> {
            let mut runs = lock(&self.0);
            let count = runs.entry(key.clone()).or_default();
            *count += 1;
            assert!(1 < *count, "its first run");
            Ok(None)
        }
    }

    #[tokio::test]
    async fn a_reconcile_that_panics_is_tried_again() {
        let mut tasks = JoinSet::new();
        let nervous = Arc::new(Nervous::default());
        let handle = start(nervous.clone(), watch::channel(None).1, &mut tasks);
        let keys = ["a", "b"].map(|it| ObjectKey::new("", "ConfigMap", "shop", it));
        for key in &keys {
            handle.look_at(key.clone());
        }
        let ran = || keys.iter().all(|it| lock(&nervous.0).get(it) == Some(&2));
        let soon = Duration::from_secs(30);
        kogge_testkit::wait_until_async(soon, "both keys run again", async || ran().then_some(()))
            .await;
    }
}
