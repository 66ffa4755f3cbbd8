//! The link of an agent that outlives its hub: what was wanted last is kept on disk.
//!
//! While the hub does not answer, the last complete set is given in its place, so that an agent
//! that starts anew heals and scales by it. What the hub says, as soon as it says something, comes
//! first. Nothing is passed on before it is kept: an older set would undo what was done since.
//! Reading order: [`Kept`] (the link), `set` (what is wanted), `seal` (the file).

mod seal;
mod set;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

pub use self::seal::KeptError;
use self::{seal::File, set::Set};
use crate::{
    link::{Desired, HubLink, Report},
    lock::lock,
    wire::streamed,
};

/// How long the hub may take to answer before what is kept stands in for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between attempts to reach the hub, and to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// So many changes that have come already are kept by one write.
const BATCH: usize = 1_024;

/// A hub's link with a memory.
pub struct Kept {
    inner: Arc<dyn HubLink>,
    shelf: Arc<Shelf>,
}

struct Shelf {
    /// The store of the hub that this agent obeys.
    hub: String,
    set: Mutex<Set>,
    /// Locked before `set`, for as long as a write takes.
    file: Mutex<File>,
    /// The changes of the set that are on disk.
    on_disk: AtomicU64,
}

impl Kept {
    /// Reads what `dir` keeps of what `hub` (the identity of its store) wanted; of another hub's
    /// nothing is used. A file that cannot be read is told, and taken as none.
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
        Ok(Self { inner, shelf: Arc::new(Shelf::new(hub, set, file)) })
    }

    /// Forgets it all: the cluster has left the fleet.
    pub fn forget(&self) -> Result<(), KeptError> {
        let file = lock(&self.shelf.file);
        *self.shelf.set() = Set::new(&self.shelf.hub);
        self.shelf.on_disk.store(0, Ordering::Release);
        file.remove()
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
async fn follow(inner: &dyn HubLink, shelf: &Arc<Shelf>, send: &mpsc::Sender<Desired>) -> Sent {
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
        let Some(first) = first.flatten().filter(|it| shelf.obeys(it)) else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        let mut batches = stream::iter([first]).chain(stream).ready_chunks(BATCH);
        loop {
            let patience = if shelf.is_behind() { RETRY } else { Duration::MAX };
            let batch = match timeout(patience, batches.next()).await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(()),
                Err(_) => Vec::new(),
            };
            shelf.keep(&batch).await;
            for desired in batch {
                send.send(desired).await?;
            }
        }
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
    /// `set` is what `file` keeps.
    fn new(hub: &str, set: Set, file: File) -> Self {
        let on_disk = AtomicU64::new(set.changes());
        Self { hub: hub.to_owned(), set: Mutex::new(set), file: Mutex::new(file), on_disk }
    }

    /// Whether a stream that begins like this is the hub's.
    fn obeys(&self, first: &Desired) -> bool {
        let Desired::Begin { hub } = first else { return false };
        if *hub != self.hub {
            tracing::warn!(hub, "another hub than {} speaks; it is not listened to", self.hub);
        }
        *hub == self.hub
    }

    /// Returns when it is on disk, or cannot be; what an earlier call was not let finish, too.
    async fn keep(self: &Arc<Self>, batch: &[Desired]) {
        {
            let mut set = self.set();
            for desired in batch {
                set.note(desired);
            }
        }
        if !self.is_behind() {
            return;
        }
        let shelf = self.clone();
        let written = spawn_blocking(move || shelf.write()).await;
        if let Ok(Err(error)) = written {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "what the hub wants could not be kept");
        }
    }

    /// One at a time: a write that nobody waits for any more goes on, and may not come last.
    ///
    /// Where the set cannot be written nothing is kept: less would be undone by none than by an
    /// older one.
    fn write(&self) -> Result<(), KeptError> {
        let file = lock(&self.file);
        if !self.is_behind() {
            return Ok(());
        }
        let (changes, kept) = {
            let set = self.set();
            (set.changes(), set.kept())
        };
        let Some(kept) = kept else { return Ok(()) };
        let written = file.write(&kept);
        if written.is_ok() {
            self.on_disk.store(changes, Ordering::Release);
        } else if let Err(error) = file.remove() {
            tracing::warn!(%error, "an older set stays");
        }
        written
    }

    /// Whether something is not on disk that should be.
    fn is_behind(&self) -> bool {
        self.set().changes() != self.on_disk.load(Ordering::Acquire)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        lock(&self.set)
    }
}
