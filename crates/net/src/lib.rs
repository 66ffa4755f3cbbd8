//! Gossip on real sockets: identities, links over QUIC or TLS on TCP, and the loop that runs a
//! [`kogge_gossip::Node`].
//!
//! Reading order: `authority` (what the hub signs), `identity` (what a member holds), `tls` (who
//! may link to whom), `link`, `peer` and `links` (how frames travel), `disk` (what outlives a start),
//! `gossip` (the loop), `report` (what people are shown).
//!
//! Invariants: a frame is given to the node only under the name that its sender's certificate
//! bears; an incarnation is on disk before anything that was signed with it leaves; no queue here
//! grows without bound.

mod advertise;
mod authority;
mod carry;
mod disk;
mod gossip;
mod identity;
mod link;
mod links;
mod peer;
mod report;
mod tls;

pub use authority::{
    Authority, AuthorityError, Issued, KeyReport, Trust, check_keys, compare_keys, keys_file,
};
pub use carry::Carried;
pub use gossip::{Gossip, Options, StartError};
pub use identity::{Identity, MemberKey};
pub use report::{AmountReport, CapacityReport, FleetReport, LinkReport, MemberReport};
