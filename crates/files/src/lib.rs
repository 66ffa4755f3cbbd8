//! Files that only their owner can read, and that are there whole or not at all.
//!
//! What makes a hub or an agent who it is, and what it has to know after a loss of power, is
//! written here: beside its place first, made durable, then moved there.

use std::{
    ffi::OsString,
    fs,
    io::{
        self,
        ErrorKind::{InvalidInput, Unsupported},
        Write as _,
    },
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Writes a file, in the place of one that is there. Durable when this returns.
///
/// # Errors
/// If it cannot be written: then what was there is as it was, unless only the directory could not be
/// made durable.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = beside(path);
    let written = remove(&part).and_then(|()| write_new(&part, bytes));
    let moved = written.and_then(|()| fs::rename(&part, path));
    if moved.is_err() {
        // What is left of it would only be overwritten by the next attempt.
        let _ = fs::remove_file(&part);
    }
    moved.and_then(|()| sync_dir(path))
}

/// Writes a file that was not there. Durable when this returns.
///
/// # Errors
/// If there is one, `AlreadyExists`, or it cannot be written: then nothing is there, unless only the
/// directory could not be made durable.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|it| it.error)?;
    sync_dir(path)
}

/// Makes durable which files are in the directory that a path is in.
///
/// # Errors
/// If it cannot be opened.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    match fs::File::open(dir_of(path))?.sync_all() {
        // Some file systems know no such thing, and need none.
        Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
        other => other,
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// One name for each file, so that what a loss of power left is used up by the next attempt.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".part");
    path.with_file_name(name)
}

fn dir_of(path: &Path) -> &Path {
    let dir = path.parent().filter(|it| !it.as_os_str().is_empty());
    dir.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// All that is in a directory, with modes.
    fn all(dir: &Path) -> Vec<(String, String, u32)> {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
        let mut all: Vec<_> = entries
            .map(|it| {
                let text = fs::read_to_string(it.path()).unwrap_or_default();
                let mode = it.metadata().unwrap().permissions().mode() & 0o777;
                (it.file_name().into_string().unwrap(), text, mode)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.key");
        // As an attempt that was cut short, by somebody careless.
        fs::write(beside(&path), "ol").unwrap();
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(all(dir.path()), [("ca.key".into(), "two".into(), 0o600)]);
    }

    #[test]
    fn what_cannot_be_written_leaves_no_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"one").is_err());
        assert!(create(&path, b"one").is_err());
        assert_eq!(all(dir.path()).len(), 1);
        assert!(create(&dir.path().join("none/file"), b"one").is_err());
    }

    #[test]
    fn a_file_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("exported");
        create(&path, b"one").unwrap();
        let error = create(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(all(dir.path()), [("exported".into(), "one".into(), 0o600)]);
    }
}
