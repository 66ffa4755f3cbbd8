//! Changes as they happen: one JSON line an event, until the client has had enough.
//!
//! A watch without a resourceVersion begins with what exists, as ADDED events.
//! An object that starts or ceases to match the selectors is ADDED or DELETED.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, stream};
use http::Response;
use kogge_store::{Entry, Event, HistoryError, RangeQuery, Revision, Store, Watch};
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::{list, selector};
use crate::{
    body::Body,
    call::Call,
    encode::{Events, typed},
    metrics::Metrics,
    options::VersionMatch,
    selector::Selector,
    serve::Draining,
    status::Failure,
};

/// How often a quiet watch is told the newest revision.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// Without a wish of the client a watch ends after half an hour to an hour.
const SHORTEST: u64 = 1800;
/// How many objects that exist already go into one piece of the body.
const CHUNK: usize = 256;

pub(super) fn watch(call: &Call) -> Result<Response<Body>, Failure> {
    check_options(call)?;
    let selector = selector(call)?;
    let body = match Feed::open(call, selector) {
        Ok(feed) => Body::stream(stream::unfold(feed, |mut feed| async move {
            let piece = feed.next().await?;
            Some((piece, feed))
        })),
        // Clients that watch look for the error in the stream.
        Err(failure) => Body::whole(error_line(&failure)),
    };
    Ok(typed(200, "application/json", body))
}

fn check_options(call: &Call) -> Result<(), Failure> {
    let options = &call.options;
    let forbidden = |field: &str, why: &str| {
        Err(Failure::new(422, "Invalid", format!("{field}: Forbidden: {field} {why}")))
    };
    match (options.initial_events, options.version_match) {
        (Some(_), Some(VersionMatch::NotOlderThan)) | (None, None) => Ok(()),
        (Some(_), _) => forbidden(
            "resourceVersionMatch",
            "must be set to NotOlderThan when sendInitialEvents is set",
        ),
        (None, Some(_)) => forbidden("resourceVersionMatch", "is forbidden for watch"),
    }
}

pub(super) fn error_line(failure: &Failure) -> Bytes {
    let mut line = json!({"type": "ERROR", "object": failure.to_status()}).to_string();
    line.push('\n');
    line.into()
}

/// One running watch.
struct Feed {
    store: Arc<dyn Store>,
    selector: Selector,
    events: Events,
    /// What exists already and has not been sent yet.
    initial: VecDeque<Entry>,
    /// The bookmark that ends the initial events, at this revision.
    mark: Option<Revision>,
    watch: Watch,
    seen: Revision,
    bookmarks: bool,
    ticks: Interval,
    deadline: Instant,
    draining: Option<Draining>,
    ended: bool,
    metrics: Arc<Metrics>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.metrics.watch_closed();
    }
}

impl Feed {
    fn open(call: &Call, selector: Selector) -> Result<Self, Failure> {
        let store = call.state.store.clone();
        let options = &call.options;
        let prefix = list::prefix(call, &selector);
        let after = list::revision(&options.resource_version)?;
        let from_start = options.initial_events.unwrap_or(after.is_none());
        let (initial, seen) = if from_start {
            let page = store
                .range(&RangeQuery { prefix: prefix.clone(), ..RangeQuery::default() })
                .map_err(gone)?;
            (page.entries.into(), page.revision)
        } else {
            (VecDeque::new(), after.unwrap_or_else(|| store.revision()))
        };
        let watch = store.watch(&prefix, seen).map_err(gone)?;
        let now = Instant::now();
        let seconds = options.timeout_seconds.unwrap_or(SHORTEST + seen % SHORTEST);
        let mut ticks = interval_at(now + BOOKMARK_EVERY, BOOKMARK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        call.state.metrics.watch_opened();
        Ok(Self {
            store,
            events: Events::new(call),
            initial,
            mark: (options.initial_events == Some(true) && options.bookmarks).then_some(seen),
            watch,
            seen,
            bookmarks: options.bookmarks,
            ticks,
            deadline: now + Duration::from_secs(seconds),
            draining: call.draining.clone(),
            ended: false,
            metrics: call.state.metrics.clone(),
            selector,
        })
    }

    /// The next piece of the body. `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.is_empty() && !self.ended {
            if !self.initial.is_empty() {
                self.send_initial(&mut out);
            } else if let Some(revision) = self.mark.take() {
                self.events.bookmark(&mut out, revision, true);
            } else {
                self.wait(&mut out).await;
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    fn send_initial(&mut self, out: &mut Vec<u8>) {
        let count = self.initial.len().min(CHUNK);
        for entry in self.initial.drain(..count) {
            if self.selector.matches(&entry.value) {
                self.events.object(out, "ADDED", &entry.value, entry.modified);
            }
        }
    }

    async fn wait(&mut self, out: &mut Vec<u8>) {
        tokio::select! {
            event = self.watch.next() => match event {
                Some(event) => {
                    self.send(out, &event);
                    self.drain(out);
                }
                None => self.ended = true,
            },
            _ = self.ticks.tick(), if self.bookmarks => self.send_bookmark(out),
            () = sleep_until(self.deadline) => self.end(out),
            () = begun(self.draining.as_mut()) => self.end(out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.bookmarks {
            self.send_bookmark(out);
        }
        self.ended = true;
    }

    /// Everything that has happened already goes into the same piece.
    fn drain(&mut self, out: &mut Vec<u8>) {
        while let Some(next) = self.watch.next().now_or_never() {
            if let Some(event) = next {
                self.send(out, &event);
            } else {
                self.ended = true;
                return;
            }
        }
    }

    /// Says that all up to a revision has been sent. It is read before what is left is sent:
    /// the store hands events to watches before it shows their revision.
    fn send_bookmark(&mut self, out: &mut Vec<u8>) {
        let revision = self.store.revision();
        self.drain(out);
        self.seen = self.seen.max(revision);
        self.events.bookmark(out, self.seen, false);
    }

    fn send(&mut self, out: &mut Vec<u8>, event: &Event) {
        self.seen = self.seen.max(event.revision);
        let matches = |bytes: &Bytes| self.selector.matches(bytes);
        let before = event.previous.as_ref().map(|it| &it.value).filter(|it| matches(it));
        let after = event.value.as_ref().filter(|it| matches(it));
        let (kind, bytes) = match (before, after) {
            (None, Some(now)) => ("ADDED", now),
            (Some(_), Some(now)) => ("MODIFIED", now),
            (Some(was), None) => ("DELETED", event.value.as_ref().unwrap_or(was)),
            (None, None) => return,
        };
        self.events.object(out, kind, bytes, event.revision);
    }
}

/// When the server stops; in process, never.
async fn begun(draining: Option<&mut Draining>) {
    match draining {
        Some(draining) => draining.begun().await,
        None => std::future::pending().await,
    }
}

fn gone(error: HistoryError) -> Failure {
    match error {
        HistoryError::Compacted { wanted, oldest } => list::too_old(wanted, oldest),
        // Of a store that was replaced: the client must list again.
        HistoryError::Future { wanted, newest } => {
            Failure::expired(format!("too large resource version: {wanted} ({newest})"))
        }
    }
}
