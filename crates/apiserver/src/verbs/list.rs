//! Many objects, all as of one revision, in pages where the client asks for them.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Response;
use kogge_store::{Entry, HistoryError, Page, RangeQuery, Revision};
use serde::{Deserialize, Serialize};

use super::selector;
use crate::{
    body::Body,
    call::Call,
    encode::{self, ListMeta, Stored},
    options::VersionMatch,
    selector::Selector,
    status::{Cause, Failure},
};

/// How many entries are looked at in one go where a selector drops some of them.
const STRIDE: usize = 1000;

/// Where the next page begins; opaque to clients.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: Revision,
    start: String,
}

pub(super) fn list(call: &Call) -> Result<Response<Body>, Failure> {
    let selector = selector(call)?;
    let (query, continues) = first_query(call)?;
    let (entries, meta) = gather(call, &selector, query, continues)?;
    let items: Vec<Stored> =
        entries.into_iter().map(|it| Stored { bytes: it.value, revision: it.modified }).collect();
    Ok(encode::list(call, &items, &meta))
}

/// Everything that the selectors mean, as of one revision.
pub(super) fn all(call: &Call, selector: &Selector) -> Result<(Vec<Entry>, ListMeta), Failure> {
    gather(call, selector, RangeQuery::default(), false)
}

/// The prefix of the keys a list or watch can match at all.
pub(super) fn prefix(call: &Call, selector: &Selector) -> String {
    let namespace = call.namespace();
    match selector.name().filter(|_| namespace.is_some() || !call.resource.is_namespaced()) {
        Some(name) => call.resource.key(namespace, name),
        None => call.resource.range(namespace),
    }
}

fn first_query(call: &Call) -> Result<(RangeQuery, bool), Failure> {
    let options = &call.options;
    let mut query = RangeQuery::default();
    if options.continue_token.is_empty() {
        query.at = requested_revision(call)?;
        return Ok((query, false));
    }
    if !matches!(options.resource_version.as_str(), "" | "0") || options.version_match.is_some() {
        return Err(Failure::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    let token = BASE64_URL_SAFE_NO_PAD
        .decode(&options.continue_token)
        .ok()
        .and_then(|it| serde_json::from_slice::<Token>(&it).ok())
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))?;
    query.at = Some(token.rv);
    query.after = Some(format!("{}{}", call.resource.range(None), token.start).into());
    Ok((query, true))
}

/// Which revision a list must show: `None`, the newest.
fn requested_revision(call: &Call) -> Result<Option<Revision>, Failure> {
    let options = &call.options;
    let text = options.resource_version.as_str();
    if text.is_empty() && options.version_match.is_some() {
        return Err(Failure::bad_request(
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ));
    }
    let Some(revision) = revision(text)? else { return Ok(None) };
    if options.version_match == Some(VersionMatch::Exact) {
        return Ok(Some(revision));
    }
    let newest = call.state.store.revision();
    if revision > newest { Err(too_large(revision, newest)) } else { Ok(None) }
}

/// A resourceVersion of the query; unset and 0 ask for nothing in particular.
pub(super) fn revision(text: &str) -> Result<Option<Revision>, Failure> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Failure::bad_request(format!("resourceVersion: Invalid value: {text:?}: not a number"))
    })
}

fn gather(
    call: &Call,
    selector: &Selector,
    mut query: RangeQuery,
    continues: bool,
) -> Result<(Vec<Entry>, ListMeta), Failure> {
    let limit = call.options.limit;
    query.prefix = prefix(call, selector);
    query.limit = match (limit, selector.is_empty()) {
        (0, _) => 0,
        (limit, true) => limit,
        (limit, false) => limit.max(STRIDE),
    };
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let page = range(call, &query, continues)?;
        let revision = page.revision;
        query.at = Some(revision);
        let mut more = page.remaining;
        let entries = page.entries.len();
        let mut last = None;
        for (index, entry) in page.entries.into_iter().enumerate() {
            last = Some(entry.key.clone());
            if selector.matches(&entry.value) {
                found.push(entry);
            }
            if limit > 0 && found.len() == limit {
                more += entries - index - 1;
                break;
            }
        }
        let full = limit > 0 && found.len() == limit;
        match last {
            Some(last) if more > 0 && full => {
                let meta = ListMeta {
                    revision,
                    continue_token: Some(token(call, revision, &last)),
                    remaining: selector.is_empty().then_some(more),
                };
                return Ok((found, meta));
            }
            Some(last) if more > 0 => query.after = Some(last),
            _ => return Ok((found, ListMeta { revision, ..ListMeta::default() })),
        }
    }
}

fn token(call: &Call, revision: Revision, last: &str) -> String {
    let start = last.strip_prefix(&call.resource.range(None)).unwrap_or(last).to_owned();
    let token = Token { v: "meta.k8s.io/v1".into(), rv: revision, start };
    BASE64_URL_SAFE_NO_PAD
        .encode(serde_json::to_vec(&token).expect("JSON always serialises into memory"))
}

fn range(call: &Call, query: &RangeQuery, continues: bool) -> Result<Page, Failure> {
    call.state.store.range(query).map_err(|error| match error {
        HistoryError::Compacted { .. } if continues => Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. \
             You must start a new list without the continue parameter.",
        ),
        HistoryError::Compacted { wanted, oldest } => too_old(wanted, oldest),
        HistoryError::Future { wanted, newest } => too_large(wanted, newest),
    })
}

pub(super) fn too_old(wanted: Revision, oldest: Revision) -> Failure {
    Failure::expired(format!("too old resource version: {wanted} ({oldest})"))
}

/// The client has seen a revision that this store has not: it may ask again soon.
fn too_large(wanted: Revision, newest: Revision) -> Failure {
    let message = format!("Too large resource version: {wanted}, current: {newest}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".into(),
        field: String::new(),
    };
    let mut failure = Failure::new(504, "Timeout", message).causes(vec![cause]);
    failure.retry_after_seconds = Some(1);
    failure
}
