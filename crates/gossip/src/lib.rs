//! The gossip protocol: who lives, and what everybody says of itself. No IO, no clock: a driver
//! feeds [`Node::handle`] and carries out its actions.
//!
//! Invariants, messages and the reasons for the numbers: docs/algorithms/gossip.md. Reading order:
//! `record`, `head`, `links` (what is kept), `table`, `ring`, `words` (what follows from it),
//! `event`, `node` and the files that it names (what happens), `view`, `snapshot`; [`sim`] plays
//! whole fleets.
//!
//! ```
//! let news = kogge_gossip::sim::news(50, 300_000, 7);
//! assert_eq!(news.missed, 0, "three tenths of all frames are lost, and no news");
//! ```

mod answer;
pub mod codec;
mod event;
pub mod frame;
mod gate;
pub mod head;
mod health;
mod id;
mod join;
pub mod keys;
mod learn;
pub mod links;
mod node;
mod own;
mod probe;
mod push;
mod queue;
pub mod record;
mod repair;
mod ring;
pub mod sim;
mod snapshot;
mod table;
mod turns;
mod view;
mod words;

#[cfg(test)]
mod tests;

pub use event::{Action, Channel, Event, Setup};
pub use frame::{Frame, MAX_DATAGRAM, MAX_FRAME};
pub use head::{Amount, Capacity, Head, Health};
pub use id::{MAX_NAME, MS, Micros, Name, Rng, SECOND, hash};
pub use keys::{Claim, Keys, SIGNATURE, Signature};
pub use links::{Link, Links, Word};
pub use node::{Counters, Node};
pub use queue::MAX_QUEUE;
pub use record::{Floor, MAX_RECORD, Record, RecordRef, Slot, Stamp};
pub use ring::{OBSERVERS, Part};
pub use table::{MAX_INCARNATION, MAX_JUMP, MAX_MEMBERS, Refusal, State};
pub use view::{MemberView, View};
