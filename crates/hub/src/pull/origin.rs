//! Whose certificate an agent shows.
//!
//! Two hubs may have one fleet's keys, and only one of them its store: agents obey the store that
//! let them in, so the other has nothing to say to them, and must not take them for its own.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use kogge_apiserver::{User, user::CERTIFICATE_URIS};

use crate::lock::lock;

/// The clusters of another hub that have dialled: each is told in the log once. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Foreign(Arc<Mutex<BTreeSet<String>>>);

impl Foreign {
    /// Why a certificate of `cluster` opens nothing at `hub`, if it does not.
    pub fn refuse(&self, hub: &str, cluster: &str, user: &User) -> Option<String> {
        let uris = user.extra.get(CERTIFICATE_URIS);
        let why = foreign(hub, cluster, uris.and_then(|it| it.first()).map(String::as_str))?;
        if lock(&self.0).insert(cluster.to_owned()) {
            tracing::warn!(cluster, "an agent was refused: {why}");
        }
        Some(why)
    }
}

/// The hub that gave a certificate, and its cluster, as the certificate names them.
pub(crate) fn uri(hub: &str, cluster: &str) -> String {
    format!("kogge://{hub}/cluster/{cluster}")
}

/// Why the certificate of `cluster` that names `shown` opens nothing at `hub`, if it does not.
pub(crate) fn foreign(hub: &str, cluster: &str, shown: Option<&str>) -> Option<String> {
    if shown == Some(&uri(hub, cluster)) {
        return None;
    }
    let giver = shown.and_then(|it| it.strip_prefix("kogge://")?.split('/').next());
    let giver = giver.map_or_else(|| "no hub".to_owned(), |it| format!("hub {it}"));
    Some(format!(
        "the certificate of {cluster} is of {giver}, and this is hub {hub}, which has that one's \
         keys and another store: give the hub its identity back (kogge hub --identity FILE, with an \
         empty --data-dir)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: Option<&str>, want: Option<&str>) {
        let why = foreign("one", "eu", shown);
        assert_eq!(why.is_some(), want.is_some(), "{why:?}");
        let (why, want) = (why.unwrap_or_default(), want.unwrap_or_default());
        assert!(why.starts_with(want), "{why}");
    }

    #[test]
    fn only_the_store_that_let_a_cluster_in_has_it() {
        check(Some(&uri("one", "eu")), None);
        check(
            Some(&uri("two", "eu")),
            Some("the certificate of eu is of hub two, and this is hub one, which has that"),
        );
        check(Some(&uri("one", "us")), Some("the certificate of eu is of hub one"));
        check(Some("https://one"), Some("the certificate of eu is of no hub"));
        check(None, Some("the certificate of eu is of no hub"));
    }
}
