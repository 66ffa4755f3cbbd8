//! A repository behind a transport that speaks Git's protocol: listing first, then packs, one commit deep.

use std::num::NonZeroU32;
use std::sync::atomic::AtomicBool;

use gix::protocol::handshake::Ref;
use gix::remote::fetch::{Shallow, Tags};
use gix::remote::{Direction, ref_map};
use gix::{ObjectId, progress};
use gix_transport::client::blocking_io::Transport;

use super::{Fault, Origin, Source};
use crate::error::FetchError;
use crate::reference::RemoteReference;
use crate::remote::Remote;

/// The reference that holds what was brought last.
const BROUGHT: &str = "refs/kogge/brought";

/// Opens connections to one remote.
pub(super) trait Connect {
    /// A connection to it. What goes wrong on it later and is understood goes to `fault`.
    fn connect(&self, fault: &Fault) -> Result<Box<dyn Transport + Send>, FetchError>;
}

pub(super) struct Wire {
    url: gix::Url,
    shown: String,
    dial: Box<dyn Connect>,
}

impl Wire {
    pub(super) fn new(remote: &Remote, mut url: gix::Url, dial: Box<dyn Connect>) -> Self {
        // What is secret in it has gone to `dial`.
        url.set_password(None);
        Self { url, shown: remote.shown(), dial }
    }

    /// Lists the references that `spec` matches and hands the prepared fetch to `then`.
    fn exchange<T>(
        &self,
        store: &gix::Repository,
        spec: &str,
        then: impl FnOnce(Prepare<'_>) -> Result<T, gix::Error>,
    ) -> Result<T, FetchError> {
        let fault = Fault::default();
        let failed = |error: gix::Error| {
            fault.take().unwrap_or_else(|| FetchError::Protocol {
                url: self.shown.clone(),
                source: Box::new(error),
            })
        };
        let run = || -> Result<Result<T, gix::Error>, FetchError> {
            let transport = self.dial.connect(&fault)?;
            let attempt = || {
                let remote = store
                    .remote_at_without_url_rewrite(self.url.clone())?
                    .with_fetch_tags(Tags::None)
                    .with_refspecs([spec], Direction::Fetch)?;
                let connection = remote
                    .to_connection_with_transport(transport)
                    // Never ask git's credential helpers, nor a person.
                    .with_credentials(|_| Ok(None));
                then(connection.prepare_fetch(progress::Discard, ref_map::Options::default())?)
            };
            Ok(attempt())
        };
        run()?.map_err(failed)
    }

    fn fetch(
        &self,
        store: &gix::Repository,
        from: &str,
        depth: NonZeroU32,
    ) -> Result<(), FetchError> {
        self.exchange(store, &format!("+{from}:{BROUGHT}"), |prepared| {
            let go_on = AtomicBool::new(false);
            let prepared = prepared.with_shallow(Shallow::DepthAtRemote(depth));
            prepared.receive(progress::Discard, &go_on).map(drop)
        })
    }
}

type Prepare<'a> = gix::remote::fetch::Prepare<'a, 'a, Box<dyn Transport + Send>>;

impl Origin for Wire {
    fn objects(&self) -> Option<std::path::PathBuf> {
        None
    }

    fn references(
        &self,
        store: &gix::Repository,
        prefix: &str,
    ) -> Result<Vec<RemoteReference>, FetchError> {
        let spec = match prefix.strip_suffix('/') {
            Some(folder) => format!("+{folder}/*:refs/kogge/listed/*"),
            None => format!("+{prefix}:{BROUGHT}"),
        };
        let all = self.exchange(store, &spec, |it| Ok(it.ref_map().remote_refs.clone()))?;
        Ok(all.iter().filter_map(named).filter(|it| it.name.starts_with(prefix)).collect())
    }

    fn bring(&self, store: &gix::Repository, from: &Source<'_>) -> Result<(), FetchError> {
        match from {
            Source::Reference(name) => self.fetch(store, name, NonZeroU32::MIN),
            Source::Commit(id) => self.fetch(store, &id.to_string(), NonZeroU32::MIN),
            // Git's own word for "to the root".
            Source::History(name) => {
                self.fetch(store, name, NonZeroU32::MIN.saturating_add(i32::MAX.unsigned_abs() - 1))
            }
        }
    }
}

fn named(reference: &Ref) -> Option<RemoteReference> {
    let (name, commit): (_, ObjectId) = match reference {
        Ref::Peeled { full_ref_name, object, .. }
        | Ref::Direct { full_ref_name, object }
        | Ref::Symbolic { full_ref_name, object, .. } => (full_ref_name, *object),
        Ref::Unborn { .. } => return None,
    };
    Some(RemoteReference { name: name.to_string(), commit })
}
