//! What is on disk: every live entry, by the revision that wrote it, in redb.
//!
//! A row is removed in the transaction that supersedes it, so the log holds
//! exactly what is live and opening it needs no replay. One redb commit, with
//! its fsync, per batch. A row carries its format, room for encryption, and a checksum.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition,
};
use uuid::Uuid;

use crate::types::{Entry, Event, Revision};

/// Revision and place in its transaction -> row.
const ROWS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const FILE: &str = "store.redb";
const FORMAT: u8 = 1;
/// The value as it is; other encodings (encrypted) get other numbers.
const PLAIN: u8 = 0;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store in {directory} is in use by another process")]
    Locked { directory: PathBuf },
    #[error("{file} is damaged at revision {revision}: {reason}; restore it from a backup")]
    Damaged { file: PathBuf, revision: Revision, reason: &'static str },
    #[error("could not open the store {file}: {reason}")]
    Failed { file: PathBuf, reason: String },
}

pub(crate) struct Log {
    database: Database,
    id: Uuid,
}

/// What a log holds.
pub(crate) struct Loaded {
    pub entries: Vec<(Entry, u32)>,
    pub revision: Revision,
}

/// Entries written and rows superseded, to be made durable at once.
#[derive(Default)]
pub(crate) struct Batch {
    pub puts: Vec<((Revision, u32), Vec<u8>)>,
    pub removes: Vec<(Revision, u32)>,
    pub revision: Revision,
}

impl Log {
    /// Opens or makes the store of a directory.
    pub fn open(directory: &Path) -> Result<(Self, Loaded), OpenError> {
        let file = directory.join(FILE);
        let failed = |reason: String| OpenError::Failed { file: file.clone(), reason };
        make_private(directory).map_err(|it| failed(it.to_string()))?;
        let database = Database::create(&file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                OpenError::Locked { directory: directory.to_owned() }
            }
            other => failed(other.to_string()),
        })?;
        make_file_private(&file).map_err(|it| failed(it.to_string()))?;
        let id = identity(&database).map_err(|it| failed(it.to_string()))?;
        let loaded = load(&database, &file)?;
        Ok((Self { database, id }, loaded))
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Durable when this returns.
    pub fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            for (place, row) in &batch.puts {
                rows.insert(place, row.as_slice())?;
            }
            for place in &batch.removes {
                rows.remove(place)?;
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert("revision", batch.revision.to_le_bytes().as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The bytes of a row: format, encoding, checksum, created, key length, key, value.
pub(crate) fn row(event: &Event, value: &[u8]) -> Vec<u8> {
    let created = event.previous.as_ref().map_or(event.revision, |it| it.created);
    let key = event.key.as_bytes();
    let mut body = Vec::with_capacity(18 + key.len() + value.len());
    body.extend([FORMAT, PLAIN, 0, 0, 0, 0]);
    body.extend(created.to_le_bytes());
    let length = u32::try_from(key.len()).expect("keys are paths, far below 4 GiB");
    body.extend(length.to_le_bytes());
    body.extend(key);
    body.extend(value);
    let sum = crc32fast::hash(&body[6..]);
    body[2..6].copy_from_slice(&sum.to_le_bytes());
    body
}

fn parse(row: &[u8], revision: Revision) -> Result<Entry, &'static str> {
    let (head, body) = row.split_at_checked(6).ok_or("a row is too short")?;
    if head[0] != FORMAT || head[1] != PLAIN {
        return Err("a row is of a format that this version does not know");
    }
    if crc32fast::hash(body).to_le_bytes() != head[2..6] {
        return Err("a row's checksum is wrong");
    }
    let (created, rest) = body.split_first_chunk::<8>().ok_or("a row is too short")?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("a row is too short")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (key, value) = rest.split_at_checked(length).ok_or("a row is too short")?;
    let key = std::str::from_utf8(key).map_err(|_| "a key is not UTF-8")?;
    Ok(Entry {
        key: key.into(),
        value: Bytes::copy_from_slice(value),
        created: u64::from_le_bytes(*created),
        modified: revision,
    })
}

fn identity(database: &Database) -> Result<Uuid, redb::Error> {
    let transaction = database.begin_write()?;
    let id = {
        transaction.open_table(ROWS)?;
        let mut meta = transaction.open_table(META)?;
        let known = meta.get("id")?.and_then(|it| Uuid::from_slice(it.value()).ok());
        match known {
            Some(id) => id,
            None => {
                let id = Uuid::new_v4();
                meta.insert("id", id.as_bytes().as_slice())?;
                id
            }
        }
    };
    transaction.commit()?;
    Ok(id)
}

fn load(database: &Database, file: &Path) -> Result<Loaded, OpenError> {
    let failed =
        |error: redb::Error| OpenError::Failed { file: file.to_owned(), reason: error.to_string() };
    let transaction = database.begin_read().map_err(|it| failed(it.into()))?;
    let meta = transaction.open_table(META).map_err(|it| failed(it.into()))?;
    let revision = meta.get("revision").map_err(|it| failed(it.into()))?;
    let revision = revision.and_then(|it| it.value().try_into().ok()).map_or(0, u64::from_le_bytes);
    let rows = transaction.open_table(ROWS).map_err(|it| failed(it.into()))?;
    let mut entries = Vec::new();
    for row in rows.iter().map_err(|it| failed(it.into()))? {
        let (place, row) = row.map_err(|it| failed(it.into()))?;
        let (at, index) = place.value();
        let entry = parse(row.value(), at).map_err(|reason| OpenError::Damaged {
            file: file.to_owned(),
            revision: at,
            reason,
        })?;
        entries.push((entry, index));
    }
    Ok(Loaded { entries, revision })
}

#[cfg(unix)]
fn make_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(unix)]
fn make_file_private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> std::io::Result<()> {
    fs::create_dir_all(directory)
}

#[cfg(not(unix))]
fn make_file_private(_file: &Path) -> std::io::Result<()> {
    Ok(())
}
