//! What is on disk: every live entry, by the revision that wrote it, in redb.
//!
//! A record is removed in the transaction that supersedes it, so the log holds
//! exactly what is live: it neither grows with history nor needs a replay.
//! One redb commit, with its fsync, per batch. The invariants are in
//! docs/algorithms/store.md; the bytes of a record in `record`, the file in `file`.

use std::path::PathBuf;

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, TableDefinition,
};
use uuid::Uuid;

use crate::{
    record::{self, Place},
    types::{Entry, Revision},
};

const RECORDS: TableDefinition<Place, &[u8]> = TableDefinition::new("records");
const META: TableDefinition<&str, u128> = TableDefinition::new("meta");
const ID: &str = "id";
const REVISION: &str = "revision";
const LAYOUT: &str = "layout";

/// The layout of these tables that this version reads and writes.
const KNOWN: u128 = 1;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store in {directory} is in use by another process")]
    Locked { directory: PathBuf },
    #[error("{file} has layout {found}; this version knows only {known}")]
    Layout { file: PathBuf, found: u128, known: u128 },
    #[error("{file} is damaged at revision {revision}: {reason}; restore it from a backup")]
    Damaged { file: PathBuf, revision: Revision, reason: String },
    #[error("could not open the store {file}")]
    Failed { file: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Opens the database, as often as it takes: a failed write leaves it unusable.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

pub(crate) struct Log {
    open: Opener,
    id: Uuid,
    /// The newest revision that is known to be durable.
    revision: Revision,
    health: Health,
}

enum Health {
    Open(Database),
    /// A write failed. Whether its batch is durable shows when the log is opened
    /// again; if it is, `undo` takes it back, for it was refused.
    Failed {
        undo: Batch,
    },
}

/// What a log holds.
pub(crate) struct Loaded {
    pub entries: Vec<(Entry, Place)>,
    pub revision: Revision,
}

/// Records written and removed, to be made durable at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub puts: Vec<(Place, Vec<u8>)>,
    pub removes: Vec<Place>,
    /// The newest revision from then on.
    pub revision: Revision,
}

impl Log {
    /// `file` is for errors only.
    pub fn open(
        open: Opener,
        file: PathBuf,
        id: Option<Uuid>,
    ) -> Result<(Self, Loaded), OpenError> {
        let failed = |file, source: redb::Error| OpenError::Failed { file, source: source.into() };
        let database = match open() {
            Ok(database) => database,
            Err(DatabaseError::Storage(redb::StorageError::Corrupted(reason))) => {
                return Err(OpenError::Damaged { file, revision: 0, reason });
            }
            Err(error) => return Err(failed(file, error.into())),
        };
        let found = identify(&database, id).map_err(|it| failed(file.clone(), it))?;
        if found.layout != KNOWN {
            return Err(OpenError::Layout { file, found: found.layout, known: KNOWN });
        }
        let entries = load(&database, found.revision).map_err(|error| match error {
            LoadError::Damaged(revision, reason) => {
                OpenError::Damaged { file, revision, reason: reason.to_owned() }
            }
            LoadError::Failed(error) => failed(file, error),
        })?;
        let (id, revision) = (found.id, found.revision);
        let log = Self { open, id, revision, health: Health::Open(database) };
        Ok((log, Loaded { entries, revision }))
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Durable when this returns. On an error nothing has changed, or will have been
    /// taken back before the next write: with what `undo` says.
    pub fn write(
        &mut self,
        batch: &Batch,
        undo: impl FnOnce(Revision) -> Batch,
    ) -> Result<(), redb::Error> {
        let result = commit(self.database()?, batch);
        match &result {
            Ok(()) => self.revision = batch.revision,
            Err(_) => self.health = Health::Failed { undo: undo(self.revision) },
        }
        result
    }

    /// The database, opened again if it had failed.
    fn database(&mut self) -> Result<&Database, redb::Error> {
        if let Health::Failed { undo } = &self.health {
            let database = (self.open)()?;
            let found = identify(&database, None)?;
            if found.id != self.id {
                return Err(redb::Error::Corrupted("the file was replaced".to_owned()));
            }
            if found.revision != self.revision {
                commit(&database, undo)?;
            }
            tracing::info!(revision = self.revision, "the store can write again");
            self.health = Health::Open(database);
        }
        match &self.health {
            Health::Open(database) => Ok(database),
            Health::Failed { .. } => unreachable!("it was opened above"),
        }
    }
}

fn commit(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for place in &batch.removes {
            records.remove(place)?;
        }
        for (place, record) in &batch.puts {
            records.insert(place, record.as_slice())?;
        }
        transaction.open_table(META)?.insert(REVISION, u128::from(batch.revision))?;
    }
    Ok(transaction.commit()?)
}

struct Identity {
    layout: u128,
    id: Uuid,
    revision: Revision,
}

/// Reads who this store is; a new one gets its id here, this one or any.
fn identify(database: &Database, new: Option<Uuid>) -> Result<Identity, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    let identity = {
        let mut meta = transaction.open_table(META)?;
        let mut known = |key, new: u128| -> Result<u128, redb::Error> {
            if let Some(known) = meta.get(key)? {
                return Ok(known.value());
            }
            meta.insert(key, new)?;
            Ok(new)
        };
        Identity {
            layout: known(LAYOUT, KNOWN)?,
            id: Uuid::from_u128(known(ID, new.unwrap_or_else(Uuid::new_v4).as_u128())?),
            revision: u64::try_from(known(REVISION, 0)?).unwrap_or(u64::MAX),
        }
    };
    transaction.commit()?;
    Ok(identity)
}

enum LoadError {
    Damaged(Revision, &'static str),
    Failed(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for LoadError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn load(database: &Database, revision: Revision) -> Result<Vec<(Entry, Place)>, LoadError> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let mut entries = Vec::with_capacity(usize::try_from(records.len()?).unwrap_or(0));
    for record in records.iter()? {
        let (place, record) = record?;
        let place = place.value();
        if revision < place.0 {
            return Err(LoadError::Damaged(place.0, "the record is newer than the store"));
        }
        let entry = record::decode(place, record.value())
            .map_err(|reason| LoadError::Damaged(place.0, reason))?;
        entries.push((entry, place));
    }
    if entries.len() as u64 != records.len()? {
        return Err(LoadError::Damaged(revision, "records are missing"));
    }
    Ok(entries)
}
