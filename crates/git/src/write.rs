//! The other way round: a repository made, and what lies in its directory committed. For `kogge init` and `kogge up`,
//! on machines without git; what git then sees is clean.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use jiff::Timestamp;

use crate::error::Source;
use crate::ignore::Patterns;
use crate::tree::join;

/// Who commits.
#[derive(Debug, Clone)]
pub struct Author {
    pub name: String,
    pub email: String,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} is a Git repository already", .0.display())]
    Exists(PathBuf),
    #[error("could not write {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("could not commit in {}", path.display())]
    Git { path: PathBuf, source: Source },
}

/// Makes `dir` a repository on branch `main` with one commit of all that is in it: `files`, written first, by their
/// paths from `dir`, and what was there. One that starts with `#!` is executable. Returns the commit in hex.
pub fn init_with(
    dir: &Path,
    files: &[(&str, &str)],
    message: &str,
    author: &Author,
    time: Timestamp,
) -> Result<String, WriteError> {
    if dir.join(".git").exists() {
        return Err(WriteError::Exists(dir.to_owned()));
    }
    for (path, content) in files {
        let path = dir.join(path);
        write(&path, content).map_err(|source| WriteError::File { path, source })?;
    }
    fs::create_dir_all(dir).map_err(|source| WriteError::File { path: dir.to_owned(), source })?;
    let kind = gix::create::Kind::WithWorktree;
    gix::ThreadSafeRepository::init_opts(dir, kind, gix::create::Options::default(), options())
        .map_err(|error| failed(dir, error))?;
    commit_all(dir, message, author, time)
}

/// Commits what lies in the working directory of the repository at `dir`, but for what its `.gitignore` files leave
/// out. Returns the commit in hex: the current one where nothing has changed.
pub fn commit_all(
    dir: &Path,
    message: &str,
    author: &Author,
    time: Timestamp,
) -> Result<String, WriteError> {
    let git = |error: gix::Error| failed(dir, error);
    let repository = gix::open_opts(dir, options()).map_err(git)?;
    let mut walk =
        Walk { repository: &repository, top: dir, ignored: Patterns::new(), files: Vec::new() };
    walk.directory("")?;
    let mut editor =
        repository.edit_tree(ObjectId::empty_tree(repository.object_hash())).map_err(git)?;
    for (path, kind, id) in walk.files {
        editor.upsert(path.as_str(), kind, id).map_err(git)?;
    }
    let tree = editor.write().map_err(git)?.detach();
    let head = repository.head_commit().ok();
    if let Some(head) = &head
        && head.tree_id().is_ok_and(|it| it == tree)
    {
        return Ok(head.id.to_string());
    }
    let signature = gix::actor::Signature {
        name: author.name.as_str().into(),
        email: author.email.as_str().into(),
        time: gix::date::Time::new(time.as_second(), 0),
    };
    let mut buffer = gix::date::parse::TimeBuf::default();
    let signature = signature.to_ref(&mut buffer);
    let parents: Vec<ObjectId> = head.iter().map(|it| it.id).collect();
    let commit = repository
        .commit_as(signature, signature, "HEAD", message, tree, parents)
        .map_err(git)?
        .detach();
    // So that git takes the working directory for unchanged.
    let mut index = repository.index_from_tree(&tree).map_err(git)?;
    index.write(gix::index::write::Options::default()).map_err(|error| failed(dir, error))?;
    Ok(commit.to_string())
}

/// No configuration but the repository's own: no signing, no hooks, no templates.
fn options() -> gix::open::Options {
    gix::open::Options::isolated()
}

fn failed(dir: &Path, source: impl Into<Source>) -> WriteError {
    WriteError::Git { path: dir.to_owned(), source: source.into() }
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, content)?;
    #[cfg(unix)]
    if content.starts_with("#!") {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, mode)?;
    }
    Ok(())
}

/// Writes the files of a working directory as blobs.
struct Walk<'a> {
    repository: &'a gix::Repository,
    top: &'a Path,
    ignored: Patterns,
    files: Vec<(String, EntryKind, ObjectId)>,
}

impl Walk<'_> {
    fn directory(&mut self, below: &str) -> Result<(), WriteError> {
        let directory = self.top.join(below);
        let unreadable = |source| WriteError::File { path: directory.clone(), source };
        if let Ok(text) = fs::read(directory.join(".gitignore")) {
            self.ignored.add(below, &text);
        }
        let listing = fs::read_dir(&directory).map_err(unreadable)?;
        let mut entries = listing.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = join(below, &entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(unreadable)?;
            // A repository inside this one is none of its files.
            let skip = path == ".git" || (kind.is_dir() && entry.path().join(".git").exists());
            if skip || self.ignored.exclude(&path) {
                continue;
            }
            if kind.is_dir() {
                self.directory(&path)?;
            } else {
                self.file(path, &entry)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, entry: &fs::DirEntry) -> Result<(), WriteError> {
        let read = || -> io::Result<(EntryKind, Vec<u8>)> {
            let metadata = entry.metadata()?;
            if metadata.is_symlink() {
                let target = fs::read_link(entry.path())?;
                return Ok((EntryKind::Link, target.to_string_lossy().into_owned().into_bytes()));
            }
            let kind =
                if is_executable(&metadata) { EntryKind::BlobExecutable } else { EntryKind::Blob };
            Ok((kind, fs::read(entry.path())?))
        };
        let (kind, content) =
            read().map_err(|source| WriteError::File { path: entry.path(), source })?;
        let id = self.repository.write_blob(content).map_err(|error| failed(self.top, error))?;
        self.files.push((path, kind, id.detach()));
        Ok(())
    }
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
