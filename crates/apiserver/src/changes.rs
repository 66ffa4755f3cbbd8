//! Every change of every resource, for the process the server runs in.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use kogge_store::{HistoryError, RangeQuery, Revision, Watch};

use crate::{
    object::served,
    registry::{Current, Resource},
    server::State,
};

/// What an embedder hears of.
#[derive(Clone, Debug)]
pub enum Change {
    Object(ObjectChange),
    /// Everything that existed has been sent; what follows is live.
    Synced(Revision),
}

/// One object, as it is now and as it was.
#[derive(Clone, Debug)]
pub struct ObjectChange {
    pub resource: Arc<Resource>,
    pub namespace: Option<Arc<str>>,
    pub name: Arc<str>,
    pub revision: Revision,
    /// The whole JSON with its resourceVersion. `None`: deleted.
    pub object: Option<Bytes>,
    /// What it was before this change; of objects that existed already: `None`.
    pub previous: Option<Bytes>,
}

/// A stream of changes. It ends when its reader is too slow or the store closes: open it anew.
pub struct Changes {
    registry: Arc<Current>,
    waiting: VecDeque<kogge_store::Entry>,
    synced: Option<Revision>,
    watch: Watch,
}

impl Changes {
    pub(crate) fn open(state: &State, after: Option<Revision>) -> Result<Self, HistoryError> {
        let (waiting, synced, from) = if let Some(revision) = after {
            (VecDeque::new(), None, revision)
        } else {
            let page =
                state.store.range(&RangeQuery { prefix: "/".into(), ..RangeQuery::default() })?;
            (page.entries.into(), Some(page.revision), page.revision)
        };
        let watch = state.store.watch("/", from)?;
        Ok(Self { registry: state.registry.clone(), waiting, synced, watch })
    }

    fn change(
        &self,
        key: &str,
        revision: Revision,
        object: Option<&Bytes>,
        previous: Option<(&Bytes, Revision)>,
    ) -> Option<Change> {
        let registry = self.registry.get();
        let (resource, namespace, name) = registry.locate(key)?;
        Some(Change::Object(ObjectChange {
            namespace: namespace.map(Into::into),
            name: name.into(),
            revision,
            object: object.map(|it| served(&resource.head, it, revision)),
            previous: previous.map(|(it, at)| served(&resource.head, it, at)),
            resource: resource.clone(),
        }))
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        while let Some(entry) = self.waiting.pop_front() {
            // Keys of kinds that are not served (any more) are passed over.
            if let Some(it) = self.change(&entry.key, entry.modified, Some(&entry.value), None) {
                return Poll::Ready(Some(it));
            }
        }
        if let Some(revision) = self.synced.take() {
            return Poll::Ready(Some(Change::Synced(revision)));
        }
        loop {
            let Some(event) = futures::ready!(self.watch.poll_next_unpin(cx)) else {
                return Poll::Ready(None);
            };
            let previous = event.previous.as_ref().map(|it| (&it.value, it.modified));
            if let Some(it) =
                self.change(&event.key, event.revision, event.value.as_ref(), previous)
            {
                return Poll::Ready(Some(it));
            }
        }
    }
}
