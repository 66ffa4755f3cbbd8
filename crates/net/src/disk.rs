//! What outlives a start: the incarnation, written before it is used, and the table.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const INCARNATION: &str = "incarnation";
const TABLE: &str = "table";

#[derive(Clone)]
pub(crate) struct Disk {
    dir: Option<PathBuf>,
}

impl Disk {
    /// Without a directory nothing is kept, and what was lost is met again in the first exchange.
    pub fn open(dir: Option<&Path>) -> io::Result<Self> {
        if let Some(dir) = dir {
            fs::create_dir_all(dir)?;
        }
        Ok(Self { dir: dir.map(Path::to_owned) })
    }

    /// The incarnation in use and the table; 0 and nothing at the first start.
    pub fn read(&self) -> io::Result<(u64, Vec<u8>)> {
        let read = |file: &str| match self.dir.as_ref().map(|it| fs::read(it.join(file))) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Some(Ok(bytes)) => Ok(bytes),
            _ => Ok(Vec::new()),
        };
        let incarnation = String::from_utf8(read(INCARNATION)?).unwrap_or_default();
        Ok((incarnation.trim().parse().unwrap_or(0), read(TABLE)?))
    }

    /// Returns when it is durable.
    pub async fn keep_incarnation(&self, incarnation: u64) -> io::Result<()> {
        self.write(INCARNATION, format!("{incarnation}\n").into_bytes()).await
    }

    pub async fn keep_table(&self, table: Vec<u8>) -> io::Result<()> {
        self.write(TABLE, table).await
    }

    async fn write(&self, file: &'static str, bytes: Vec<u8>) -> io::Result<()> {
        let Some(path) = self.dir.as_ref().map(|it| it.join(file)) else { return Ok(()) };
        let written = tokio::task::spawn_blocking(move || kogge_files::replace(&path, &bytes));
        written.await.map_err(io::Error::other)?
    }
}
