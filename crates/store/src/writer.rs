//! Group commit: transactions queue up while the disk syncs, and the next group takes them all.
//!
//! Per group: plan against memory and the group so far, make durable, publish,
//! acknowledge. In this order, so that nothing is seen that could be lost.

use std::{collections::BTreeMap, sync::mpsc};

use tokio::sync::oneshot;

use crate::{
    log::{Batch, Log},
    record::{self, Place},
    state::Pending,
    types::{Change, Entry, Event, Key, Op, Revision, TxnError},
    watch::Shared,
};

/// Transactions in one group: bounds the wait of the first behind the last.
const GROUP: usize = 1024;
/// Bytes after which a group is full, for the same reason.
const GROUP_BYTES: usize = 4 << 20;

pub(crate) struct Request {
    pub ops: Vec<Op>,
    pub answer: oneshot::Sender<Result<Revision, TxnError>>,
}

impl Request {
    fn bytes(&self) -> usize {
        let put = |op: &Op| if let Change::Put(value) = &op.change { value.len() } else { 0 };
        self.ops.iter().map(put).sum()
    }
}

/// Where the live record of each key is.
pub(crate) type Places = BTreeMap<Key, Place>;

/// Commits what comes until nobody can ask any more.
pub(crate) fn run(
    mut log: Log,
    shared: &Shared,
    mut places: Places,
    receive: &mpsc::Receiver<Request>,
) {
    while let Ok(first) = receive.recv() {
        let (answers, events) = plan(shared, group(first, receive));
        let stored = if events.is_empty() {
            Ok(())
        } else {
            let batch = batch(&events, &places);
            log.write(&batch, |revision| undo(&events, &places, &batch, revision))
        };
        if let Err(error) = stored {
            tracing::error!(%error, "the store could not write");
            refuse(answers, &error.to_string());
            continue;
        }
        for (place, event) in numbered(&events) {
            match event.value {
                Some(_) => places.insert(event.key.clone(), place),
                None => places.remove(&event.key),
            };
        }
        if !events.is_empty() {
            shared.publish(events);
        }
        for (answer, result) in answers {
            // A caller that went away does not undo what is durable.
            let _ = answer.send(result);
        }
    }
}

/// All that wait, up to a bound.
fn group(first: Request, receive: &mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.bytes();
    let mut group = vec![first];
    while group.len() < GROUP
        && bytes < GROUP_BYTES
        && let Ok(next) = receive.try_recv()
    {
        bytes += next.bytes();
        group.push(next);
    }
    group
}

type Answer = (oneshot::Sender<Result<Revision, TxnError>>, Result<Revision, TxnError>);

/// Each transaction sees those before it, and takes the next revision if it changes anything.
fn plan(shared: &Shared, group: Vec<Request>) -> (Vec<Answer>, Vec<Event>) {
    let state = shared.read();
    let mut revision = state.revision();
    let mut pending = Pending::new();
    let (mut answers, mut all) = (Vec::new(), Vec::new());
    for Request { ops, answer } in group {
        let result = state.plan(&pending, &ops, revision + 1).map(|events| {
            if !events.is_empty() {
                revision += 1;
            }
            for event in &events {
                pending.insert(event.key.clone(), event.entry());
            }
            all.extend(events);
            revision
        });
        answers.push((answer, result));
    }
    (answers, all)
}

/// Also those that would have failed: they saw transactions that did not come to be.
fn refuse(answers: Vec<Answer>, reason: &str) {
    for (answer, _) in answers {
        let _ = answer.send(Err(TxnError::Unavailable(reason.to_owned())));
    }
}

/// The last record of each key that the group touches is written; the ones before it are removed.
fn batch(events: &[Event], places: &Places) -> Batch {
    let last: BTreeMap<&Key, (Place, &Event)> =
        numbered(events).map(|(place, event)| (&event.key, (place, event))).collect();
    let mut batch = Batch::default();
    for (key, (place, event)) in last {
        batch.removes.extend(places.get(key));
        if let Some(entry) = event.entry() {
            batch.puts.push((place, record::encode(place, &entry)));
        }
        batch.revision = batch.revision.max(place.0);
    }
    batch
}

/// What takes a batch back.
fn undo(events: &[Event], places: &Places, batch: &Batch, revision: Revision) -> Batch {
    // The first event of a key in the group knows what was there before the group.
    let mut before: BTreeMap<&Key, Option<&Entry>> = BTreeMap::new();
    for event in events {
        before.entry(&event.key).or_insert(event.previous.as_ref());
    }
    let live = before.into_values().flatten();
    let put = |entry: &Entry| {
        let place = *places.get(&entry.key)?;
        Some((place, record::encode(place, entry)))
    };
    let removes = batch.puts.iter().map(|(place, _)| *place).collect();
    Batch { puts: live.filter_map(put).collect(), removes, revision }
}

/// Events with their places: their revision, and their number in it.
fn numbered(events: &[Event]) -> impl Iterator<Item = (Place, &Event)> {
    let mut place = (0, 0);
    events.iter().map(move |event| {
        let same = place.0 == event.revision;
        place = (event.revision, if same { place.1 + 1 } else { 0 });
        (place, event)
    })
}
