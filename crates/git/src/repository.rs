//! A store of fetched objects on disk: what one remote had when it was last asked.
//!
//! It is a bare repository that can be thrown away at any time. Objects of a repository on this machine are not
//! copied but read through `objects/info/alternates`, as `git clone --shared` does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gix::{ObjectId, ThreadSafeRepository};

use crate::error::{FetchError, TreeError};
use crate::origin::{self, Origin, Source};
use crate::reference::{Reference, RemoteReference, Revision, Wanted};
use crate::remote::Remote;
use crate::tree::Tree;

/// How often a branch may move between its listing and its fetch before that is an error.
const ATTEMPTS: usize = 3;

/// The local copy of one remote. Share it behind an `Arc`: fetches wait for one another, reading waits for none.
#[derive(Debug)]
pub struct Repository {
    path: PathBuf,
    store: Mutex<ThreadSafeRepository>,
    /// Held while fetching.
    fetching: Mutex<()>,
}

impl Repository {
    /// Opens the store at `cache_dir`, made anew where there is none or none that can be read.
    pub fn open_or_init(cache_dir: &Path) -> Result<Self, FetchError> {
        let store = match open(cache_dir) {
            Ok(store) => store,
            Err(_) => init(cache_dir)?,
        };
        Ok(Self { path: cache_dir.to_owned(), store: Mutex::new(store), fetching: Mutex::new(()) })
    }

    /// Finds out which commit `reference` names at `remote` now, and brings it here if it is not.
    ///
    /// Where nothing changed only references are listed, and for a commit that is here not even those.
    pub fn fetch(&self, remote: &Remote, reference: &Reference) -> Result<Revision, FetchError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = reference.wanted()?;
        let origin = origin::open(remote)?;
        self.read_through(origin.objects().as_deref())?;
        let store = self.store().to_thread_local();
        match &wanted {
            Wanted::Commit { id, branch } => {
                if !has(&store, *id) {
                    bring_commit(origin.as_ref(), &store, *id, branch.as_deref(), remote)?;
                }
                Ok(Revision::new(branch.as_deref(), *id))
            }
            _ => follow(origin.as_ref(), &store, &wanted, remote),
        }
    }

    /// The tree of a commit that was fetched, from `path` (`""`, `.` and `./` are the root) downwards.
    pub fn tree(&self, commit: &str, path: &str) -> Result<Tree, TreeError> {
        Tree::open(self.store(), commit, path)
    }

    fn store(&self) -> ThreadSafeRepository {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the store read `objects` as its own, or nothing but its own.
    fn read_through(&self, objects: Option<&Path>) -> Result<(), FetchError> {
        let failed = |error: std::io::Error| store_error(&self.path, error);
        let file = self.path.join("objects/info/alternates");
        let wanted = objects.map(|it| format!("{}\n", it.display()));
        let current = fs::read_to_string(&file).ok();
        if wanted == current {
            return Ok(());
        }
        match wanted {
            Some(text) => {
                fs::create_dir_all(self.path.join("objects/info")).map_err(failed)?;
                fs::write(&file, text).map_err(failed)?;
            }
            None => fs::remove_file(&file).map_err(failed)?,
        }
        let store = open(&self.path).map_err(|error| store_error(&self.path, error))?;
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
        Ok(())
    }
}

/// Where the reference is now, and its commit here. A branch that moves meanwhile is looked up again.
fn follow(
    origin: &dyn Origin,
    store: &gix::Repository,
    wanted: &Wanted,
    remote: &Remote,
) -> Result<Revision, FetchError> {
    for _ in 0..ATTEMPTS {
        let references = origin.references(store, wanted.prefix())?;
        let (RemoteReference { name, commit }, label) =
            wanted.choose(&references, &remote.shown())?;
        if !has(store, *commit) {
            origin.bring(store, &Source::Reference(name))?;
        }
        if has(store, *commit) {
            return Ok(Revision::new(Some(&label), *commit));
        }
    }
    let source = "the reference does not name a commit, or moves faster than it can be fetched";
    Err(FetchError::Protocol { url: remote.shown(), source: source.into() })
}

/// By its hash, which most servers allow; else with the whole history of its branch.
fn bring_commit(
    origin: &dyn Origin,
    store: &gix::Repository,
    id: ObjectId,
    branch: Option<&str>,
    remote: &Remote,
) -> Result<(), FetchError> {
    match origin.bring(store, &Source::Commit(id)) {
        Ok(()) if has(store, id) => return Ok(()),
        Ok(()) | Err(FetchError::Protocol { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(branch) = branch {
        let wanted = Reference::branch(branch).wanted()?;
        let references = origin.references(store, wanted.prefix())?;
        let (found, _) = wanted.choose(&references, &remote.shown())?;
        origin.bring(store, &Source::History(&found.name))?;
    }
    if has(store, id) {
        return Ok(());
    }
    let wanted = match branch {
        Some(branch) => format!("commit {id} on branch {branch}"),
        None => format!("commit {id} that it gives out by its hash; name its branch as well"),
    };
    Err(FetchError::ReferenceMissing { url: remote.shown(), wanted, existing: Vec::new() })
}

fn has(store: &gix::Repository, id: ObjectId) -> bool {
    store.find_commit(id).is_ok_and(|commit| commit.tree_id().is_ok_and(|it| store.has_object(it)))
}

fn open(path: &Path) -> Result<ThreadSafeRepository, gix::Error> {
    ThreadSafeRepository::open_opts(path, options())
}

/// The store's own configuration and nobody else's.
fn options() -> gix::open::Options {
    gix::open::Options::isolated().open_path_as_is(true)
}

fn init(path: &Path) -> Result<ThreadSafeRepository, FetchError> {
    // What a run cut short left behind, or what cannot be read: all of it can be fetched again. Anything else is not ours.
    let is_empty = fs::read_dir(path).map_or(true, |mut it| it.next().is_none());
    if !is_empty {
        if !path.join("objects").is_dir() {
            return Err(store_error(path, "the directory holds something else"));
        }
        fs::remove_dir_all(path).map_err(|error| store_error(path, error))?;
    }
    fs::create_dir_all(path).map_err(|error| store_error(path, error))?;
    let bare = gix::create::Kind::Bare;
    ThreadSafeRepository::init_opts(path, bare, gix::create::Options::default(), options())
        .map_err(|error| store_error(path, error))
}

fn store_error(path: &Path, source: impl Into<crate::error::Source>) -> FetchError {
    FetchError::Store { path: path.display().to_string(), source: source.into() }
}
