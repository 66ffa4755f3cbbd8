//! The link of an agent that outlives its hub: what was wanted last is kept on disk.
//!
//! While the hub does not answer, the last complete set is given in its place, so that an agent
//! that starts anew heals and scales by it. What the hub says, as soon as it says something, comes
//! first. Reading order: [`Kept`] (the link), `set` (what is wanted), `seal` (the file).

mod seal;
mod set;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

pub use self::seal::KeptError;
use self::{seal::File, set::Set};
use crate::{
    link::{Desired, HubLink, Report},
    wire::{AbortOnDrop, streamed},
};

/// How long the hub may take to answer before what is kept stands in for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between attempts to reach the hub.
const RETRY: Duration = Duration::from_secs(1);

/// Changes that come together are written together.
const GATHER: Duration = Duration::from_millis(200);

/// A hub's link with a memory.
pub struct Kept {
    inner: Arc<dyn HubLink>,
    shelf: Arc<Shelf>,
    _writing: AbortOnDrop,
}

struct Shelf {
    /// The store of the hub that this agent obeys.
    hub: String,
    set: Mutex<Set>,
    file: File,
    changed: Notify,
}

impl Kept {
    /// Reads what `dir` keeps of what `hub` (the identity of its store) wanted; of another hub's
    /// nothing is used. A file that cannot be read is told, and taken as none. Needs a tokio
    /// runtime around it.
    pub fn open(inner: Arc<dyn HubLink>, dir: &Path, hub: &str) -> Result<Self, KeptError> {
        let file = File::open(dir)?;
        let set = match file.read() {
            Ok(set) => set.filter(|it| it.hub == hub),
            Err(error) => {
                tracing::warn!(%error, "what the hub wanted last is not known");
                None
            }
        };
        let set = set.unwrap_or_else(|| Set::new(hub));
        let shelf =
            Shelf { hub: hub.to_owned(), set: Mutex::new(set), file, changed: Notify::new() };
        let shelf = Arc::new(shelf);
        let writing = AbortOnDrop(tokio::spawn(shelf.clone().write_for_ever()));
        Ok(Self { inner, shelf, _writing: writing })
    }

    /// Writes what was not written yet.
    pub fn flush(&self) -> Result<(), KeptError> {
        self.shelf.write()
    }

    /// Forgets it all: the cluster has left the fleet.
    pub fn forget(&self) -> Result<(), KeptError> {
        *self.shelf.set() = Set::new(&self.shelf.hub);
        self.shelf.file.remove()
    }
}

impl HubLink for Kept {
    fn desired(&self) -> BoxStream<'static, Desired> {
        let (inner, shelf) = (self.inner.clone(), self.shelf.clone());
        streamed(move |send| async move {
            // An error means that nobody listens any more.
            let _ = follow(&*inner, &shelf, &send).await;
        })
    }

    fn report(&self, report: Report) {
        self.inner.report(report);
    }
}

type Sent = Result<(), mpsc::error::SendError<Desired>>;

/// One stream of the hub; before it comes, what is kept, once.
async fn follow(inner: &dyn HubLink, shelf: &Shelf, send: &mpsc::Sender<Desired>) -> Sent {
    let mut has_stood_in = false;
    loop {
        let mut stream = inner.desired();
        let mut first = timeout(PATIENCE, stream.next()).await.ok();
        if !matches!(&first, Some(Some(it)) if shelf.obeys(it)) && !has_stood_in {
            has_stood_in = true;
            stand_in(shelf, send).await?;
        }
        if first.is_none() {
            first = Some(stream.next().await);
        }
        let mut next = first.flatten().filter(|it| shelf.obeys(it));
        if next.is_none() {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        while let Some(desired) = next {
            shelf.note(&desired);
            send.send(desired).await?;
            next = stream.next().await;
        }
        return Ok(());
    }
}

async fn stand_in(shelf: &Shelf, send: &mpsc::Sender<Desired>) -> Sent {
    let said = shelf.set().said();
    if !said.is_empty() {
        tracing::info!("the hub does not answer; going on by what it wanted last");
    }
    for desired in said {
        send.send(desired).await?;
    }
    Ok(())
}

impl Shelf {
    /// Whether a stream that begins like this is the hub's.
    fn obeys(&self, first: &Desired) -> bool {
        let Desired::Begin { hub } = first else { return false };
        if *hub != self.hub {
            tracing::warn!(hub, "another hub than {} speaks; it is not listened to", self.hub);
        }
        *hub == self.hub
    }

    fn note(&self, desired: &Desired) {
        if self.set().note(desired) {
            self.changed.notify_one();
        }
    }

    async fn write_for_ever(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(GATHER).await;
            let shelf = self.clone();
            match tokio::task::spawn_blocking(move || shelf.write()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "what the hub wants could not be kept");
                }
            }
        }
    }

    fn write(&self) -> Result<(), KeptError> {
        let kept = self.set().kept();
        kept.map_or(Ok(()), |it| self.file.write(&it))
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
