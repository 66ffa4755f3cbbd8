//! What every API server does by itself: owner garbage collection, emptying of
//! namespaces, expiry of Events.
//!
//! Reading order: `watch` follows all changes and says what is to be looked at;
//! `garbage` and `namespace` decide and act, `expiry` knows what is due. All
//! writes go through the server's own verbs (`caller`).

mod caller;
mod expiry;
mod garbage;
mod graph;
mod namespace;
mod watch;

pub(crate) use self::watch::start;
