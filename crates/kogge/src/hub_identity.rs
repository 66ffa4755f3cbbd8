//! What makes a hub the hub of its fleet: the keys that agents and members trust, and the identity
//! of its store. Kept apart from its state, so that it can be given back to an empty disk.
//!
//! In a data directory: `hub/id`, `hub/pki/ca.{crt,key}`, `hub/gossip/fleet.{crt,key}`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_hub::Recovering;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data_dir;

const VERSION: u32 = 1;

const ID: &str = "hub/id";
const STORE: &str = "hub/store/store.redb";

/// Everything of an identity, as it is exported: one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubIdentity {
    version: u32,
    /// Of the hub's store: agents obey no other, and the fleet's signatures cover it.
    id: String,
    /// Signs what servers and agents show each other; PEM.
    ca_certificate: String,
    ca_key: String,
    /// Signs members and floors: DER and PKCS#8, base64.
    fleet_certificate: String,
    fleet_key: String,
}

impl HubIdentity {
    /// The identity of the hub in a data directory, which may run.
    pub fn of(dir: &Path) -> anyhow::Result<Self> {
        let Some(id) = id(dir)? else {
            bail!("no hub has run in {}; name its directory with --data-dir", dir.display());
        };
        let [ca_certificate, ca_key, fleet_certificate, fleet_key] = files(dir).map(|it| read(&it));
        Ok(Self {
            version: VERSION,
            id: id.to_string(),
            ca_certificate: String::from_utf8(ca_certificate?)?,
            ca_key: String::from_utf8(ca_key?)?,
            fleet_certificate: STANDARD.encode(fleet_certificate?),
            fleet_key: STANDARD.encode(fleet_key?),
        })
    }

    /// As it was exported.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("{} is no identity of a hub", path.display());
        let identity: Self = serde_json::from_slice(&read(path)?).with_context(failed)?;
        if identity.version != VERSION {
            let version = identity.version;
            bail!("{} has version {version}, and {VERSION} is known", path.display());
        }
        Ok(identity)
    }

    /// One JSON object, with a line end.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Gives a data directory this identity, unless it has it.
    ///
    /// # Errors
    /// If it has another one.
    pub fn place(&self, dir: &Path) -> anyhow::Result<()> {
        let content = [
            self.ca_certificate.clone().into_bytes(),
            self.ca_key.clone().into_bytes(),
            STANDARD.decode(&self.fleet_certificate).context("fleetCertificate is not base64")?,
            STANDARD.decode(&self.fleet_key).context("fleetKey is not base64")?,
        ];
        let places = files(dir);
        let is_other =
            |(path, content): (&PathBuf, &Vec<u8>)| fs::read(path).is_ok_and(|it| it != *content);
        let own: Uuid = self.id.parse().context("id is no UUID")?;
        let id = id(dir)?;
        let has_store = id.is_none() && dir.join(STORE).exists();
        if id.is_some_and(|it| it != own) || places.iter().zip(&content).any(is_other) || has_store
        {
            bail!(
                "{} belongs to a hub with another identity; give --identity an empty --data-dir",
                dir.display()
            );
        }
        for (path, content) in places.iter().zip(&content) {
            if !path.exists() {
                write_private(path, content)?;
            }
        }
        // Last: from here on this is the hub's directory.
        remember(dir, own)
    }
}

/// The identity of the hub's store; `None` where no hub has run.
pub fn id(dir: &Path) -> anyhow::Result<Option<Uuid>> {
    let path = dir.join(ID);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim().parse();
            Ok(Some(id.with_context(|| format!("{} is no identity", path.display()))?))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

/// Refuses a store of another hub, whose clusters would not obey this one.
pub fn check(dir: &Path, store: Uuid) -> anyhow::Result<()> {
    match id(dir)? {
        Some(known) if known != store => bail!(
            "{} is the store of another hub: it is {store}, and the identity here is of {known}; put \
             this hub's own store back, or start with both of the other's",
            dir.join(STORE).display()
        ),
        _ => Ok(()),
    }
}

/// Keeps the identity of the store beside it, where it can be read while the hub runs.
pub fn remember(dir: &Path, id: Uuid) -> anyhow::Result<()> {
    let path = dir.join(ID);
    let text = format!("{id}\n");
    if fs::read_to_string(&path).is_ok_and(|it| it == text) {
        return Ok(());
    }
    write_private(&path, text.as_bytes())
}

/// Marks a hub that is known and has no store: it waits for its state.
pub fn mark_lost(dir: &Path, now: Timestamp) -> anyhow::Result<()> {
    if id(dir)?.is_none() || dir.join(STORE).exists() {
        return Ok(());
    }
    let why = "the hub began with its identity and an empty store".to_owned();
    let marked = kogge_hub::mark(&dir.join("hub"), &Recovering { since: now, why });
    marked.context("could not mark the data directory as one that lost its state")
}

fn files(dir: &Path) -> [PathBuf; 4] {
    ["pki/ca.crt", "pki/ca.key", "gossip/fleet.crt", "gossip/fleet.key"]
        .map(|it| dir.join("hub").join(it))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read {}", path.display()))
}

fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("could not write {}", path.display());
    data_dir::create(path.parent().with_context(failed)?)?;
    kogge_files::replace(path, bytes).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(id: u128) -> HubIdentity {
        HubIdentity {
            version: VERSION,
            id: Uuid::from_u128(id).to_string(),
            ca_certificate: format!("certificate {id}"),
            ca_key: "key".into(),
            fleet_certificate: STANDARD.encode([1, 2]),
            fleet_key: STANDARD.encode([3]),
        }
    }

    #[test]
    fn an_identity_comes_back_as_it_was_and_takes_no_other_hubs_place() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(HubIdentity::of(dir.path()).is_err());
        some(1).place(dir.path()).expect("it is empty");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), some(1));
        some(1).place(dir.path()).expect("it has it");
        let error = some(2).place(dir.path()).expect_err("another");
        assert!(error.to_string().contains("another identity"), "{error}");
        let file = dir.path().join("exported");
        fs::write(&file, some(1).to_json().expect("JSON")).expect("written");
        assert_eq!(HubIdentity::from_file(&file).expect("read"), some(1));
        fs::write(&file, "{}").expect("written");
        assert!(HubIdentity::from_file(&file).is_err());
    }

    #[test]
    fn a_store_that_is_there_is_not_given_an_identity() {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = dir.path().join(STORE);
        fs::create_dir_all(store.parent().expect("has one")).expect("made");
        fs::write(&store, "").expect("written");
        assert!(some(1).place(dir.path()).is_err());
    }
}
