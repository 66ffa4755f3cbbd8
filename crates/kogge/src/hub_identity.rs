//! What makes a hub the hub of its fleet: the keys that agents and members trust, and the identity
//! of its store. Kept apart from its state, so that it can be given back to an empty disk.
//!
//! In a data directory: `hub/id`, `hub/pki/ca.{crt,key}`, `hub/gossip/fleet.json`.

use std::{
    cmp::Ordering,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kogge_apiserver::pki;
use kogge_hub::Recovering;
use kogge_net::{check_keys, compare_keys, keys_file};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data_dir;

const VERSION: u32 = 2;

const ID: &str = "hub/id";
const STORE: &str = "hub/store/store.redb";

/// Where an identity comes from.
const EXPORTED: &str = "--identity takes a file that kogge identity export has written";

/// Everything of an identity, as it is exported: one JSON object. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubIdentity {
    version: u32,
    /// Of the hub's store: agents obey no other, and the fleet's signatures cover it.
    id: String,
    /// Signs what servers and agents show each other; PEM.
    ca_certificate: String,
    ca_key: String,
    /// Sign members and floors: the file of the fleet's keys, base64.
    fleet_keys: String,
}

/// What is read first: what else there is depends on it.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl fmt::Debug for HubIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubIdentity").field("id", &self.id).finish_non_exhaustive()
    }
}

impl HubIdentity {
    /// The identity of the hub in a data directory, which may run.
    pub fn of(dir: &Path) -> anyhow::Result<Self> {
        let Some(id) = id(dir)? else {
            bail!("no hub has run in {}; name its directory with --data-dir", dir.display());
        };
        let [ca_certificate, ca_key, fleet_keys] = files(dir).map(|it| read(&it));
        Ok(Self {
            version: VERSION,
            id: id.to_string(),
            ca_certificate: String::from_utf8(ca_certificate?)?,
            ca_key: String::from_utf8(ca_key?)?,
            fleet_keys: STANDARD.encode(fleet_keys?),
        })
    }

    /// As it was exported.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let file = path.display();
        let bytes = fs::read(path).map_err(|why| {
            anyhow!("could not read the hub's identity from {file}: {why}; {EXPORTED}")
        })?;
        let bad =
            |why: anyhow::Error| anyhow!("{file} is no identity of a hub: {why:#}; {EXPORTED}");
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(|it| bad(it.into()))?;
        if version != VERSION {
            bail!(
                "{file} is an identity of version {version}, and this kogge knows {VERSION}: use the \
                 kogge that exported it, or a newer one"
            );
        }
        let identity: Self = serde_json::from_slice(&bytes).map_err(|it| bad(it.into()))?;
        identity.content().map_err(bad)?;
        Ok(identity)
    }

    /// The identity of the store, and the content of its files.
    fn content(&self) -> anyhow::Result<(Uuid, [Vec<u8>; 3])> {
        let id = self.id.parse().context("id is no UUID")?;
        pki::facts(&self.ca_certificate).context("caCertificate")?;
        if !self.ca_key.contains("PRIVATE KEY") {
            bail!("caKey is no private key in PEM");
        }
        let fleet_keys = STANDARD.decode(&self.fleet_keys).context("fleetKeys is not base64")?;
        check_keys(&fleet_keys).context("fleetKeys")?;
        let content = [
            self.ca_certificate.clone().into_bytes(),
            self.ca_key.clone().into_bytes(),
            fleet_keys,
        ];
        Ok((id, content))
    }

    /// One JSON object, with a line end.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Gives a data directory this identity, whole or not at all. What one that has it lacks is
    /// written.
    ///
    /// # Errors
    /// If it has another one.
    pub fn place(&self, dir: &Path) -> anyhow::Result<()> {
        const HELP: &str = "start without --identity, or name an empty directory with --data-dir";
        let (own, content) = self.content()?;
        let known = id(dir)?;
        if let Some(other) = known.filter(|it| *it != own) {
            bail!("{} is of hub {other}, and the identity given of {own}; {HELP}", dir.display());
        }
        if known.is_none() && dir.join(STORE).exists() {
            bail!("{} has a store, and it is not known of which hub; {HELP}", dir.display());
        }
        for (path, content) in files(dir).iter().zip(&content) {
            // Before and after a rotation: the later one stays.
            let goes_on = |it: &[u8]| it == content || compare_keys(it, content).is_some();
            if fs::read(path).is_ok_and(|it| !goes_on(&it)) {
                bail!(
                    "{} is another than the one in the identity given, of hub {own}: it is of \
                     another fleet, or its keys were rotated since the identity was exported; {HELP}",
                    path.display()
                );
            }
        }
        if dir.join("hub").exists() {
            return fill(dir, own, &content);
        }
        let staged = dir.join("identity.part");
        if staged.exists() {
            // Of an attempt that was cut short.
            fs::remove_dir_all(&staged)
                .with_context(|| format!("could not remove {}", staged.display()))?;
        }
        fill(&staged, own, &content)?;
        let (from, to) = (staged.join("hub"), dir.join("hub"));
        let moved = fs::rename(&from, &to).and_then(|()| kogge_files::sync_dir(&to));
        moved.with_context(|| format!("could not move {} to {}", from.display(), to.display()))?;
        // It is empty, and in nobody's way.
        let _ = fs::remove_dir(&staged);
        Ok(())
    }
}

/// Writes what is not there of an identity, and the later keys of a fleet over the earlier ones.
fn fill(dir: &Path, id: Uuid, content: &[Vec<u8>; 3]) -> anyhow::Result<()> {
    for (path, content) in files(dir).iter().zip(content) {
        let is_due = match fs::read(path) {
            Ok(there) => compare_keys(content, &there) == Some(Ordering::Greater),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                return Err(error).with_context(|| format!("could not read {}", path.display()));
            }
        };
        if is_due {
            write_private(path, content)?;
        }
    }
    // Last: from here on this is the hub's directory.
    remember(dir, id)
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

fn files(dir: &Path) -> [PathBuf; 3] {
    let hub = dir.join("hub");
    [hub.join("pki/ca.crt"), hub.join("pki/ca.key"), keys_file(&hub.join("gossip"))]
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

    /// Of a hub whose store is this one, with keys of its own.
    fn some(id: u128) -> HubIdentity {
        let dir = tempfile::tempdir().expect("temp dir");
        let (pki, gossip) = (dir.path().join("hub/pki"), dir.path().join("hub/gossip"));
        let id = Uuid::from_u128(id);
        let now = Timestamp::UNIX_EPOCH;
        pki::Authority::load_or_create(&pki, "test", now).expect("made");
        kogge_net::Authority::load_or_create(&gossip, &id.to_string(), now).expect("made");
        remember(dir.path(), id).expect("written");
        HubIdentity::of(dir.path()).expect("there")
    }

    #[track_caller]
    fn refused<T: fmt::Debug>(result: anyhow::Result<T>, parts: &[&str]) {
        let why = format!("{:#}", result.expect_err("refused"));
        assert!(parts.iter().all(|it| why.contains(it)), "{why}");
    }

    #[test]
    fn an_identity_comes_back_as_it_was_and_takes_no_other_hubs_place() {
        let dir = tempfile::tempdir().expect("temp dir");
        let one = some(1);
        refused(HubIdentity::of(dir.path()), &["no hub has run in", "--data-dir"]);
        // What an attempt left that was cut short is of no use, and in nobody's way.
        write_private(&dir.path().join("identity.part/hub/pki/ca.key"), b"half").expect("written");
        one.place(dir.path()).expect("it is empty");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), one);
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1, "the hub's and no other");
        one.place(dir.path()).expect("it has it");
        let ids = [1, 2].map(|it| Uuid::from_u128(it).to_string());
        refused(some(2).place(dir.path()), &[&ids[0], &ids[1], "an empty directory"]);
        refused(some(1).place(dir.path()), &["pki/ca.crt is another", &ids[0], "another fleet"]);
        fs::remove_file(dir.path().join("hub/gossip/fleet.json")).expect("removed");
        one.place(dir.path()).expect("what is lacking is written");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), one);
    }

    #[test]
    fn before_and_after_a_rotation_the_later_keys_stay() {
        let dir = tempfile::tempdir().expect("temp dir");
        let before = some(1);
        before.place(dir.path()).expect("it is empty");
        let (gossip, now) = (dir.path().join("hub/gossip"), Timestamp::UNIX_EPOCH);
        let fleet = kogge_net::Authority::load_or_create(&gossip, &before.id, now).expect("there");
        fleet.rotate(std::time::Duration::from_hours(24), now).expect("written");
        let after = HubIdentity::of(dir.path()).expect("there");
        assert_ne!(after, before);
        before.place(dir.path()).expect("it is the same hub's");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), after);
        // A directory that was put back from before the rotation.
        write_private(&keys_file(&gossip), &STANDARD.decode(&before.fleet_keys).expect("base64"))
            .expect("written");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), before);
        after.place(dir.path()).expect("it is the same hub's");
        assert_eq!(HubIdentity::of(dir.path()).expect("there"), after);
    }

    #[test]
    fn a_store_that_is_there_is_not_given_an_identity() {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = dir.path().join(STORE);
        fs::create_dir_all(store.parent().expect("has one")).expect("made");
        fs::write(&store, "").expect("written");
        refused(some(1).place(dir.path()), &["has a store", "an empty directory"]);
    }

    type Spoil = fn(&mut HubIdentity);

    #[test]
    fn a_file_that_is_no_identity_is_named_with_what_is_wrong() {
        let dir = tempfile::tempdir().expect("temp dir");
        let file = dir.path().join("exported");
        let read = || HubIdentity::from_file(&file);
        refused(
            read(),
            &[
                "could not read the hub's identity from",
                "exported: No such file",
                "identity export",
            ],
        );
        let one = some(1);
        let write = |it: &HubIdentity| fs::write(&file, it.to_json().expect("JSON"));
        write(&one).expect("written");
        assert_eq!(read().expect("read"), one);
        fs::write(&file, "{}").expect("written");
        refused(read(), &["exported is no identity of a hub", "missing field", "identity export"]);
        let faults: [(Spoil, &str); 5] = [
            (|it| it.version = 3, "is an identity of version 3"),
            (|it| it.id = "one".into(), "no identity of a hub: id is no UUID"),
            (|it| it.ca_certificate = "x".into(), "caCertificate"),
            (|it| it.ca_key = "x".into(), "caKey is no private key"),
            (
                |it| it.fleet_keys = STANDARD.encode("[]"),
                "fleetKeys: the fleet's key cannot be used",
            ),
        ];
        for (spoil, want) in faults {
            let mut spoilt = one.clone();
            spoil(&mut spoilt);
            write(&spoilt).expect("written");
            refused(read(), &["exported", want]);
        }
    }

    #[test]
    fn no_key_is_shown() {
        let one = some(1);
        let shown = format!("{one:?}");
        assert!(shown.contains(&one.id) && !shown.contains("PRIVATE"), "{shown}");
        assert!(!shown.contains(&one.fleet_keys), "{shown}");
    }
}
