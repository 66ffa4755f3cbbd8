//! Whether the hub's state is in doubt: it lost its disk, or came back with an older one.
//!
//! Until a person says that what it holds is what clusters should hold, it decides nothing: no
//! agent is told a set, nothing is placed, moved or deleted. The mark is a file beside the store,
//! so that a restart does not forget it, and a store that is put back does not take it away.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

const FILE: &str = "recovering.json";

/// What a person runs when the hub has its state again.
pub const COMMAND: &str = "kogge identity recovered";

/// Since when the hub waits for its state, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovering {
    pub since: Timestamp,
    pub why: String,
}

impl Recovering {
    /// For people: what holds, and the command that ends it.
    pub fn message(&self) -> String {
        format!(
            "{}; since {:.0} nothing is placed, moved or deleted; give the hub its objects back, \
             from a backup or Git, and then run: {COMMAND}",
            self.why, self.since
        )
    }
}

/// Marks a hub's data directory, before the hub starts on it.
///
/// # Errors
/// If the file cannot be written.
pub fn mark(data_dir: &Path, recovering: &Recovering) -> io::Result<()> {
    kogge_files::replace(&data_dir.join(FILE), &serde_json::to_vec_pretty(recovering)?)
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Recovery {
    path: PathBuf,
    now: Arc<watch::Sender<Option<Recovering>>>,
}

impl Recovery {
    /// # Errors
    /// If the mark is there and cannot be read: what it says is not guessed.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let marked = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, now: Arc::new(watch::Sender::new(marked)) })
    }

    /// What the hub waits for, if it waits.
    pub fn get(&self) -> Option<Recovering> {
        self.now.borrow().clone()
    }

    pub fn is_on(&self) -> bool {
        self.now.borrow().is_some()
    }

    pub fn subscribe(&self) -> watch::Receiver<Option<Recovering>> {
        self.now.subscribe()
    }

    /// A person has said that the hub has its state again.
    ///
    /// # Errors
    /// If the mark cannot be removed: then it goes on.
    pub fn end(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.now.send_replace(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_outlives_a_restart_until_a_person_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Recovery::open(dir.path()).unwrap().is_on());
        let since = Timestamp::UNIX_EPOCH;
        let lost = Recovering { since, why: "the hub lost its disk".into() };
        mark(dir.path(), &lost).unwrap();
        let recovery = Recovery::open(dir.path()).unwrap();
        assert_eq!(recovery.get(), Some(lost));
        recovery.end().unwrap();
        assert!(!recovery.is_on() && !Recovery::open(dir.path()).unwrap().is_on());
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_no_leave_to_decide() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(Recovery::open(dir.path()).is_err());
    }
}
