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

/// How many packs a store may hold: every change adds one, and nothing here joins them.
const PACKS: usize = 50;
/// How many packs gix can know at once, those of a repository read in place included.
const SLOTS: u16 = 2048;

/// The local copy of one remote. Share it behind an `Arc`: fetches wait for one another, reading waits for none.
#[derive(Debug)]
pub struct Repository {
    directory: PathBuf,
    store: Mutex<Store>,
    /// Held while fetching.
    fetching: Mutex<()>,
}

/// One bare repository, `<generation>.git` in the cache directory.
#[derive(Debug, Clone)]
struct Store {
    generation: u32,
    path: PathBuf,
    repository: ThreadSafeRepository,
}

impl Repository {
    /// Opens the store in `cache_dir`, made anew where there is none or none that can be read.
    pub fn open_or_init(cache_dir: &Path) -> Result<Self, FetchError> {
        let mut generations = generations(cache_dir);
        let newest = generations.pop();
        let store = newest.and_then(|it| Store::open(cache_dir, it).ok());
        // What a run cut short left behind, or cannot be read: all of it can be fetched again.
        let old = generations.into_iter().chain(newest.filter(|_| store.is_none()));
        for generation in old {
            let path = path_of(cache_dir, generation);
            fs::remove_dir_all(&path).map_err(|error| store_error(&path, error))?;
        }
        let store = match store {
            Some(store) => store,
            None => Store::init(cache_dir, newest.unwrap_or(1))?,
        };
        Ok(Self {
            directory: cache_dir.to_owned(),
            store: Mutex::new(store),
            fetching: Mutex::new(()),
        })
    }

    /// Finds out which commit `reference` names at `remote` now, and brings it here if it is not.
    ///
    /// Where nothing changed only references are listed, and for a commit that is here not even those. Commits that
    /// were fetched long before may no longer be here afterwards.
    pub fn fetch(&self, remote: &Remote, reference: &Reference) -> Result<Revision, FetchError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = reference.wanted()?;
        let origin = origin::open(remote)?;
        let store = self.store().reading_through(origin.objects().as_deref())?;
        self.take(store.clone());
        let revision = find(origin.as_ref(), &store, &wanted, remote)?;
        if store.packs() > PACKS {
            self.renew(&store, origin.as_ref(), &wanted, remote)?;
        }
        Ok(revision)
    }

    /// The tree of a commit that was fetched, from `path` (`""`, `.` and `./` are the root) downwards.
    pub fn tree(&self, commit: &str, path: &str) -> Result<Tree, TreeError> {
        Tree::open(self.store().repository, commit, path)
    }

    fn store(&self) -> Store {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, store: Store) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// Goes on with a new store that holds what is wanted and no more. The old one stays for trees that are being
    /// read, until the next time.
    fn renew(
        &self,
        old: &Store,
        origin: &dyn Origin,
        wanted: &Wanted,
        remote: &Remote,
    ) -> Result<(), FetchError> {
        let store = Store::init(&self.directory, old.generation + 1)?;
        find(origin, &store, wanted, remote)?;
        for generation in generations(&self.directory).into_iter().filter(|it| *it < old.generation)
        {
            let path = path_of(&self.directory, generation);
            fs::remove_dir_all(&path).map_err(|error| store_error(&path, error))?;
        }
        self.take(store);
        Ok(())
    }
}

impl Store {
    fn open(directory: &Path, generation: u32) -> Result<Self, FetchError> {
        let path = path_of(directory, generation);
        let repository = ThreadSafeRepository::open_opts(&path, options());
        let repository = repository.map_err(|error| store_error(&path, error))?;
        Ok(Self { generation, path, repository })
    }

    fn init(directory: &Path, generation: u32) -> Result<Self, FetchError> {
        let path = path_of(directory, generation);
        let failed = |error: std::io::Error| store_error(&path, error);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed)?;
        }
        fs::create_dir_all(&path).map_err(failed)?;
        let bare = gix::create::Kind::Bare;
        ThreadSafeRepository::init_opts(&path, bare, gix::create::Options::default(), options())
            .map_err(|error| store_error(&path, error))?;
        Self::open(directory, generation)
    }

    /// The same, with `objects` as if they were its own, or nothing but its own.
    fn reading_through(self, objects: Option<&Path>) -> Result<Self, FetchError> {
        let failed = |error: std::io::Error| store_error(&self.path, error);
        let file = self.path.join("objects/info/alternates");
        let wanted = objects.map(|it| format!("{}\n", it.display()));
        if wanted == fs::read_to_string(&file).ok() {
            return Ok(self);
        }
        match wanted {
            Some(text) => {
                fs::create_dir_all(self.path.join("objects/info")).map_err(failed)?;
                fs::write(&file, text).map_err(failed)?;
            }
            None => fs::remove_file(&file).map_err(failed)?,
        }
        let repository = ThreadSafeRepository::open_opts(&self.path, options());
        let repository = repository.map_err(|error| store_error(&self.path, error))?;
        Ok(Self { repository, ..self })
    }

    fn packs(&self) -> usize {
        fs::read_dir(self.path.join("objects/pack")).map_or(0, |it| {
            it.flatten().filter(|it| it.path().extension().is_some_and(|it| it == "pack")).count()
        })
    }
}

fn path_of(directory: &Path, generation: u32) -> PathBuf {
    directory.join(format!("{generation}.git"))
}

/// The stores in `directory`, oldest first. What is named otherwise is none of ours.
fn generations(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |it: fs::DirEntry| it.file_name().to_str()?.strip_suffix(".git")?.parse().ok();
    let mut found: Vec<u32> = entries.filter_map(number).collect();
    found.sort_unstable();
    found
}

/// The commit that is wanted, brought into `store`.
fn find(
    origin: &dyn Origin,
    store: &Store,
    wanted: &Wanted,
    remote: &Remote,
) -> Result<Revision, FetchError> {
    let store = store.repository.to_thread_local();
    let Wanted::Commit { id, branch } = wanted else {
        return follow(origin, &store, wanted, remote);
    };
    if !has(&store, *id) {
        bring_commit(origin, &store, *id, branch.as_deref(), remote)?;
    }
    Ok(Revision::new(branch.as_deref(), *id))
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

/// The store's own configuration and nobody else's.
fn options() -> gix::open::Options {
    use gix::odb::store::init::Slots;
    gix::open::Options::isolated().open_path_as_is(true).object_store_slots(Slots::Given(SLOTS))
}

fn store_error(path: &Path, source: impl Into<crate::error::Source>) -> FetchError {
    FetchError::Store { path: path.display().to_string(), source: source.into() }
}
