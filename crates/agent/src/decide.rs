//! What to do about one object. Pure: the state in, a verdict out.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    link::Mode,
    track::{Live, Tracked},
};

/// What the next step on an object is, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing to do.
    Settled,
    /// An effect is under way, or its time has not come.
    Wait,
    Apply(Why),
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It is not there, and never was as far as this agent knows.
    Missing,
    /// It was there, and somebody deleted it.
    Gone,
    /// Somebody took fields that kogge owned.
    Drifted,
    /// The hub wants something else than what was applied.
    Changed,
    /// It is there from before this agent started: applying it again tells.
    Unverified,
}

pub(crate) fn decide(tracked: &Tracked, set_is_complete: bool, now: Instant) -> Verdict {
    if tracked.in_flight || tracked.retry_at.is_some_and(|at| now < at) {
        return Verdict::Wait;
    }
    match &tracked.desired {
        Some(work) => wanted(tracked, &work.hash, work.mode),
        None => unwanted(tracked, set_is_complete),
    }
}

fn wanted(tracked: &Tracked, hash: &str, mode: Mode) -> Verdict {
    let meta = match &tracked.live {
        Live::Unknown => return Verdict::Wait,
        Live::Absent => return absent(tracked, mode),
        Live::Present(meta) => meta,
    };
    // What is going away is put back when it is gone, not before.
    if meta.deleting {
        return Verdict::Wait;
    }
    match &tracked.applied {
        None => Verdict::Apply(Why::Unverified),
        Some(applied) if applied.hash != hash => Verdict::Apply(Why::Changed),
        Some(applied) if !same(applied.fields.as_ref(), meta.fields.as_ref()) => {
            Verdict::Apply(Why::Drifted)
        }
        Some(_) => Verdict::Settled,
    }
}

fn absent(tracked: &Tracked, mode: Mode) -> Verdict {
    match &tracked.applied {
        None => Verdict::Apply(Why::Missing),
        // A namespace that somebody else made is not watched, so it stays absent here.
        Some(applied) if mode == Mode::Ensure && applied.fields.is_none() => Verdict::Settled,
        Some(_) => Verdict::Apply(Why::Gone),
    }
}

/// Deletes only what kogge owns, and only on the word of a complete set.
fn unwanted(tracked: &Tracked, set_is_complete: bool) -> Verdict {
    match &tracked.live {
        Live::Present(meta) if set_is_complete && meta.owned && !meta.deleting => Verdict::Delete,
        Live::Unknown => Verdict::Wait,
        Live::Present(_) | Live::Absent => Verdict::Settled,
    }
}

fn same(a: Option<&Arc<str>>, b: Option<&Arc<str>>) -> bool {
    a.map(AsRef::as_ref) == b.map(AsRef::as_ref)
}
