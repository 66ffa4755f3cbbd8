//! Where commits come from, behind one trait: a repository on this machine, or one behind a wire.

mod http;
mod local;
mod ssh;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use gix::ObjectId;
use gix::url::Scheme;

use crate::error::FetchError;
use crate::reference::RemoteReference;
use crate::remote::Remote;
use local::Local;
use wire::Wire;

/// A remote repository, seen from a store that may lack its objects.
pub(crate) trait Origin {
    /// A directory of objects that the store reads as its own, so that nothing need be brought.
    fn objects(&self) -> Option<std::path::PathBuf>;

    /// The references whose names start with `prefix`. Touches no object.
    fn references(
        &self,
        store: &gix::Repository,
        prefix: &str,
    ) -> Result<Vec<RemoteReference>, FetchError>;

    /// Brings what `from` names into `store`, one commit deep or with its whole history.
    fn bring(&self, store: &gix::Repository, from: &Source<'_>) -> Result<(), FetchError>;
}

/// What to bring.
pub(crate) enum Source<'a> {
    /// The commit that a reference names now.
    Reference(&'a str),
    Commit(ObjectId),
    /// A reference with all commits behind it.
    History(&'a str),
}

pub(crate) fn open(remote: &Remote) -> Result<Box<dyn Origin>, FetchError> {
    let url = remote.parsed()?;
    Ok(match url.scheme {
        Scheme::File => Box::new(Local::open(&url, remote)?),
        Scheme::Ssh => {
            Box::new(Wire::new(remote, url.clone(), Box::new(ssh::Dial::new(url, remote)?)))
        }
        _ => Box::new(Wire::new(remote, url.clone(), Box::new(http::Dial::new(url, remote)?))),
    })
}

/// The cause of a failed exchange, noted where it is known: gix hands on little more than that it failed.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<FetchError>>>);

impl Fault {
    fn note(&self, error: FetchError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn take(&self) -> Option<FetchError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
