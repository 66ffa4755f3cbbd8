//! The directory of a store: private, locked for one process, with one redb file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use redb::{Builder, Database, DatabaseError, backends::FileBackend};

use crate::log::OpenError;

const STORE: &str = "store.redb";
/// A store in the making. Only when it is whole does it get its name, so that power
/// lost right then leaves no half of a store that would be refused for ever.
const NEW: &str = "store.redb.new";
const LOCK: &str = "lock";

/// Pages that redb keeps: reads come from our own memory, so it needs only what
/// a batch touches.
const CACHE: usize = 16 << 20;

/// A directory that no other process uses for as long as this lives.
pub(crate) struct Directory {
    pub file: PathBuf,
    _lock: File,
}

impl Directory {
    /// Made if it is missing, with an empty store.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        let file = path.join(STORE);
        let failed =
            |error: io::Error| OpenError::Failed { file: file.clone(), source: error.into() };
        fs::create_dir_all(path).map_err(failed)?;
        make_private(path).map_err(failed)?;
        let lock = private(&path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { directory: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        if !file.try_exists().map_err(failed)? {
            make(path).map_err(|error| OpenError::Failed { file: file.clone(), source: error })?;
        }
        Ok(Self { file, _lock: lock })
    }
}

fn make(directory: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let new = directory.join(NEW);
    if new.try_exists()? {
        fs::remove_file(&new)?;
    }
    let backend = FileBackend::new(private(&new)?)?;
    drop(builder().create_with_backend(backend)?);
    File::open(&new)?.sync_all()?;
    fs::rename(&new, directory.join(STORE))?;
    sync_directory(directory)?;
    // Its own name may be new as well.
    directory.canonicalize()?.parent().map_or(Ok(()), sync_directory)?;
    Ok(())
}

/// The database in a file that is there, its every page checked.
pub(crate) fn open(file: &Path) -> Result<Database, DatabaseError> {
    let backend = FileBackend::new(OpenOptions::new().read(true).write(true).open(file)?)?;
    builder().create_with_backend(backend)
}

pub(crate) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder
}

/// A file for our eyes only, made if it is missing.
fn private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

/// Makes names in a directory durable. The directory above ours may not be readable.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory) {
        Ok(open) => open.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_directory: &Path) -> io::Result<()> {
    Ok(())
}
