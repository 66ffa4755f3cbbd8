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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::Work,
        track::{Applied, Meta},
    };

    fn meta(owned: bool, deleting: bool, fields: &str) -> Live {
        let fields = (!fields.is_empty()).then(|| fields.into());
        Live::Present(Meta { uid: "u".into(), version: 1, generation: 1, owned, deleting, fields })
    }

    fn tracked(wants: Option<(&str, Mode)>, live: Live, applied: Option<(&str, &str)>) -> Tracked {
        let work = |(hash, mode): (&str, Mode)| {
            Arc::new(Work {
                key: kogge_member::ObjectKey::new("", "ConfigMap", "n", "c"),
                api_version: "v1".into(),
                manifest: bytes::Bytes::new(),
                hash: hash.into(),
                mode,
            })
        };
        let fields = |it: &str| (!it.is_empty()).then(|| it.into());
        Tracked {
            desired: wants.map(work),
            live,
            applied: applied.map(|(hash, it)| Applied { hash: hash.into(), fields: fields(it) }),
            ..Tracked::default()
        }
    }

    #[track_caller]
    fn check(it: &Tracked, complete: bool, want: Verdict) {
        assert_eq!(decide(it, complete, Instant::now()), want);
    }

    #[test]
    fn what_is_wanted_is_applied_when_it_is_not_as_it_was_left() {
        let new = Some(("h", Mode::Abort));
        check(&tracked(new, Live::Unknown, None), true, Verdict::Wait);
        check(&tracked(new, Live::Absent, None), false, Verdict::Apply(Why::Missing));
        check(&tracked(new, Live::Absent, Some(("h", "f"))), true, Verdict::Apply(Why::Gone));
        check(&tracked(new, meta(true, false, "f"), None), true, Verdict::Apply(Why::Unverified));
        let left = Some(("h", "f"));
        check(&tracked(new, meta(true, false, "f"), left), true, Verdict::Settled);
        check(&tracked(new, meta(true, false, "g"), left), true, Verdict::Apply(Why::Drifted));
        check(&tracked(new, meta(true, true, "g"), left), true, Verdict::Wait);
        let old = Some(("old", "f"));
        check(&tracked(new, meta(true, false, "f"), old), true, Verdict::Apply(Why::Changed));
        // A namespace that is only used is not watched, so it looks as if it were not there.
        let used = tracked(Some(("h", Mode::Ensure)), Live::Absent, Some(("h", "")));
        check(&used, true, Verdict::Settled);
    }

    #[test]
    fn only_what_is_owned_is_deleted_and_only_when_the_set_is_complete() {
        check(&tracked(None, meta(true, false, "f"), None), true, Verdict::Delete);
        check(&tracked(None, meta(true, false, "f"), None), false, Verdict::Settled);
        check(&tracked(None, meta(false, false, ""), None), true, Verdict::Settled);
        check(&tracked(None, meta(true, true, "f"), None), true, Verdict::Settled);
        check(&tracked(None, Live::Absent, None), true, Verdict::Settled);
        check(&tracked(None, Live::Unknown, None), true, Verdict::Wait);
    }

    #[test]
    fn what_is_under_way_or_not_due_waits() {
        let mut it = tracked(Some(("h", Mode::Abort)), Live::Absent, None);
        it.in_flight = true;
        assert_eq!(decide(&it, true, Instant::now()), Verdict::Wait);
        it.in_flight = false;
        it.failed(Instant::now());
        assert_eq!(decide(&it, true, Instant::now()), Verdict::Wait);
        let later = Instant::now() + std::time::Duration::from_mins(1);
        assert_eq!(decide(&it, true, later), Verdict::Apply(Why::Missing));
    }
}
