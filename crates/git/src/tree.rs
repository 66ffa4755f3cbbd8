//! A directory of a commit, listed but not checked out. Blobs are read when they are asked for.
//!
//! Symlinks are followed inside the commit's tree. One that leads out of it, nowhere or round in a circle stays in
//! the list as what it is: whoever wants to read it gets the error.

use std::collections::BTreeMap;

use gix::objs::tree::EntryKind;
use gix::{ObjectId, ThreadSafeRepository};

use crate::error::TreeError;

/// How many symlinks may lead to one another, as in Linux.
const LINKS: usize = 40;
/// How many files and directories a tree may hold, those behind symlinks counted each time.
const ENTRIES: usize = 100_000;
/// How large a file may be that is read.
const FILE_SIZE: u64 = 16 << 20;

/// What is at and below a path of a commit.
#[derive(Debug, Clone)]
pub struct Tree {
    store: ThreadSafeRepository,
    root: ObjectId,
    id: ObjectId,
    path: String,
    entries: BTreeMap<String, Entry>,
    /// Whether a symlink was followed, so that the content is not a function of `id` alone.
    linked: bool,
    /// The `.sourceignore` files of the directories above `path`, outermost first.
    above: Vec<(String, ObjectId)>,
}

/// What a path of a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file, or a symlink to one.
    File { id: String, executable: bool },
    /// A symlink that cannot be followed.
    BrokenLink { target: String, reason: &'static str },
    /// Another repository, which is not fetched: a directory without content.
    Submodule { commit: String },
}

/// What a path leads to, symlinks followed.
enum Found {
    Directory { id: ObjectId, path: String },
    File { id: ObjectId, executable: bool },
    Submodule,
    Missing,
}

const LEAVES: &str = "leads out of the repository";
const NOWHERE: &str = "leads nowhere";
const CIRCLE: &str = "leads round in a circle";

impl Tree {
    pub(crate) fn open(
        store: ThreadSafeRepository,
        commit: &str,
        path: &str,
    ) -> Result<Self, TreeError> {
        let repository = store.to_thread_local();
        let object =
            |error: crate::error::Source| TreeError::object(format!("commit {commit}"), error);
        let id = ObjectId::from_hex(commit.as_bytes()).map_err(|error| object(error.into()))?;
        let found = repository.find_commit(id).and_then(|it| it.tree_id().map(gix::Id::detach));
        let root = found.map_err(|error| object(error.into()))?;
        let walk = Walk { repository, root };
        let wanted = normal(path).unwrap_or_else(|| path.to_owned());
        let missing = |reason: Option<&str>| TreeError::PathMissing {
            path: path.to_owned(),
            commit: commit.to_owned(),
            reason: reason.map(str::to_owned),
        };
        let (id, real) = match walk.find(&wanted) {
            Ok(Found::Directory { id, path }) => (id, path),
            Ok(Found::File { .. }) => return Err(missing(Some("it is a file, not a directory"))),
            Ok(Found::Submodule) => {
                return Err(missing(Some("it is a submodule, and those are not fetched")));
            }
            Ok(Found::Missing) => return Err(missing(None)),
            Err(Lost { file, target, reason }) => {
                return Err(TreeError::Symlink { file, target, reason });
            }
        };
        let (entries, linked) = walk.list(id, &wanted)?;
        let above = walk.ignores_above(&wanted);
        Ok(Self { store, root, id, linked: linked || real != wanted, path: wanted, entries, above })
    }

    /// The path it was opened at, without slashes at its ends; empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Every file, broken symlink and submodule, by its path from the root of the repository.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// Paths of submodules, of which nothing is read.
    pub fn submodules(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(_, it)| matches!(it, Entry::Submodule { .. }))
            .map(|(path, _)| path.as_str())
    }

    /// Changes when, and only when, something changes that a plain rendering may read: not with every commit.
    pub fn hash(&self) -> String {
        let mut hash = self.id.to_string();
        if self.linked {
            hash.push_str(&format!("+{}", self.root));
        }
        self.above.iter().for_each(|(_, id)| hash.push_str(&format!("+{id}")));
        hash
    }

    /// The content of a file of [`Tree::entries`].
    pub fn read(&self, file: &str) -> Result<Vec<u8>, TreeError> {
        self.reader().read(file)
    }

    /// For reading many files.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { tree: self, repository: self.store.to_thread_local() }
    }

    /// Another directory of the same commit; `None` where there is none.
    pub(crate) fn sibling(&self, path: &str) -> Result<Option<Self>, TreeError> {
        let walk = Walk { repository: self.store.to_thread_local(), root: self.root };
        let Ok(Found::Directory { id, .. }) = walk.find(path) else { return Ok(None) };
        let (entries, linked) = walk.list(id, path)?;
        Ok(Some(Self {
            id,
            path: path.to_owned(),
            entries,
            linked,
            above: Vec::new(),
            ..self.clone()
        }))
    }
}

/// Reads blobs of a tree.
pub(crate) struct Reader<'a> {
    tree: &'a Tree,
    repository: gix::Repository,
}

impl Reader<'_> {
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, TreeError> {
        match self.tree.entries.get(file) {
            Some(Entry::File { id, .. }) => self.blob(file, id),
            Some(Entry::BrokenLink { target, reason }) => {
                Err(TreeError::Symlink { file: file.to_owned(), target: target.clone(), reason })
            }
            Some(Entry::Submodule { .. }) | None => Err(TreeError::object(file, "it is no file")),
        }
    }

    /// The `.sourceignore` files above the tree: their directories and contents.
    pub(crate) fn ignores_above(&self) -> Result<Vec<(String, Vec<u8>)>, TreeError> {
        let read = |(directory, id): &(String, ObjectId)| {
            Ok((directory.clone(), self.blob(".sourceignore", &id.to_string())?))
        };
        self.tree.above.iter().map(read).collect()
    }

    fn blob(&self, file: &str, id: &str) -> Result<Vec<u8>, TreeError> {
        let failed = |error: gix::Error| TreeError::object(file, error);
        let id =
            ObjectId::from_hex(id.as_bytes()).map_err(|error| TreeError::object(file, error))?;
        let size = self.repository.find_header(id).map_err(failed)?.size();
        if size > FILE_SIZE {
            let limit = format!("{} MiB", FILE_SIZE >> 20);
            return Err(TreeError::TooLarge { path: file.to_owned(), limit });
        }
        Ok(self.repository.find_blob(id).map_err(failed)?.take_data())
    }
}

/// A symlink that could not be followed.
struct Lost {
    file: String,
    target: String,
    reason: &'static str,
}

/// Looks paths up in one commit's tree.
struct Walk {
    repository: gix::Repository,
    root: ObjectId,
}

impl Walk {
    /// What `path` leads to.
    fn find(&self, path: &str) -> Result<Found, Lost> {
        self.follow(path, LINKS)
    }

    fn follow(&self, path: &str, links: usize) -> Result<Found, Lost> {
        let mut at = self.root;
        let mut walked = String::new();
        let mut parts = path.split('/').filter(|it| !it.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let Some((kind, id)) = self.child(at, part) else { return Ok(Found::Missing) };
            let here = join(&walked, part);
            let is_last = parts.peek().is_none();
            match kind {
                EntryKind::Tree => (at, walked) = (id, here),
                EntryKind::Link => {
                    let target = self.target(id);
                    let lost = |reason| Lost { file: here.clone(), target: target.clone(), reason };
                    let rest: Vec<&str> = parts.collect();
                    let next = beside(&here, &target).ok_or_else(|| lost(LEAVES))?;
                    if links == 0 {
                        return Err(lost(CIRCLE));
                    }
                    return self.follow(&join(&next, &rest.join("/")), links - 1);
                }
                EntryKind::Commit => return Ok(Found::Submodule),
                EntryKind::Blob | EntryKind::BlobExecutable if is_last => {
                    return Ok(Found::File { id, executable: kind == EntryKind::BlobExecutable });
                }
                _ => return Ok(Found::Missing),
            }
        }
        Ok(Found::Directory { id: at, path: walked })
    }

    /// Everything below a directory that is known as `path`, and whether symlinks were followed.
    fn list(&self, id: ObjectId, path: &str) -> Result<(BTreeMap<String, Entry>, bool), TreeError> {
        let mut list =
            List { walk: self, entries: BTreeMap::new(), linked: false, open: Vec::new(), seen: 0 };
        list.directory(id, path)?;
        Ok((list.entries, list.linked))
    }

    fn child(&self, tree: ObjectId, name: &str) -> Option<(EntryKind, ObjectId)> {
        let tree = self.repository.find_tree(tree).ok()?;
        let entry = tree.find_entry(name)?;
        Some((entry.mode().kind(), entry.object_id()))
    }

    fn target(&self, link: ObjectId) -> String {
        let blob = self.repository.find_blob(link);
        blob.map(|it| String::from_utf8_lossy(&it.data).into_owned()).unwrap_or_default()
    }

    fn ignores_above(&self, path: &str) -> Vec<(String, ObjectId)> {
        let mut found = Vec::new();
        let mut directory = String::new();
        for part in path.split('/').filter(|it| !it.is_empty()) {
            if let Ok(Found::File { id, .. }) = self.find(&join(&directory, ".sourceignore")) {
                found.push((directory.clone(), id));
            }
            directory = join(&directory, part);
        }
        found
    }
}

/// Lists a directory and all below it.
struct List<'a> {
    walk: &'a Walk,
    entries: BTreeMap<String, Entry>,
    linked: bool,
    /// The directories that are being listed, outermost first: one that comes again is a circle.
    open: Vec<ObjectId>,
    seen: usize,
}

impl List<'_> {
    fn directory(&mut self, id: ObjectId, path: &str) -> Result<(), TreeError> {
        let failed = |error| TreeError::object(format!("directory {path:?}"), error);
        let tree = self.walk.repository.find_tree(id).map_err(failed)?;
        self.open.push(id);
        for entry in tree.iter() {
            let entry = entry.map_err(failed)?;
            self.seen += 1;
            if self.seen > ENTRIES {
                let limit = format!("{ENTRIES} files and directories");
                return Err(TreeError::TooLarge { path: path.to_owned(), limit });
            }
            let here = join(path, &entry.filename().to_string());
            self.entry(entry.mode().kind(), entry.object_id(), here)?;
        }
        self.open.pop();
        Ok(())
    }

    fn entry(&mut self, kind: EntryKind, id: ObjectId, here: String) -> Result<(), TreeError> {
        let entry = match kind {
            EntryKind::Tree => return self.directory(id, &here),
            EntryKind::Link => match self.link(id, &here)? {
                Some(entry) => entry,
                None => return Ok(()),
            },
            EntryKind::Commit => Entry::Submodule { commit: id.to_string() },
            EntryKind::Blob | EntryKind::BlobExecutable => {
                Entry::File { id: id.to_string(), executable: kind == EntryKind::BlobExecutable }
            }
        };
        self.entries.insert(here, entry);
        Ok(())
    }

    /// What a symlink stands for; nothing where it was a directory, which is listed then.
    fn link(&mut self, id: ObjectId, here: &str) -> Result<Option<Entry>, TreeError> {
        self.linked = true;
        let target = self.walk.target(id);
        let broken = |reason| Ok(Some(Entry::BrokenLink { target: target.clone(), reason }));
        match self.walk.find(here) {
            Ok(Found::File { id, executable }) => {
                Ok(Some(Entry::File { id: id.to_string(), executable }))
            }
            Ok(Found::Directory { id, path })
                if self.open.contains(&id) || lies_in(here, &path) =>
            {
                broken(CIRCLE)
            }
            Ok(Found::Directory { id, .. }) => self.directory(id, here).map(|()| None),
            Ok(Found::Submodule | Found::Missing) => broken(NOWHERE),
            Err(Lost { reason, .. }) => broken(reason),
        }
    }
}

pub(crate) fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", name) => name.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, name) => format!("{directory}/{name}"),
    }
}

/// `path` without `.`, `..` and doubled slashes; `None` where it would lead out of the root.
pub(crate) fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Where `target`, as written in `file`, leads from the root; `None` where that is outside.
pub(crate) fn beside(file: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
    normal(&format!("{directory}/{target}"))
}

/// Whether `path` is `directory` or below it.
pub(crate) fn lies_in(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|it| it.is_empty() || it.starts_with('/'))
}
