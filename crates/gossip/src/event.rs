//! What goes into a [`crate::Node`] and what comes out.

use std::sync::Arc;

use crate::head::Head;
use crate::id::Name;
use crate::keys::Keys;
use crate::record::{Slot, Stamp};
use crate::table::State;

/// Who a node is, and with what it starts.
#[derive(Clone)]
pub struct Setup {
    /// The fleet's id: members of different fleets share nothing.
    pub fleet: String,
    /// The name on this member's certificate.
    pub name: Name,
    /// What it says of itself.
    pub head: Head,
    /// The incarnation on disk, which some start before this one has used; 0 without one.
    pub incarnation: u64,
    /// Signs and checks.
    pub keys: Arc<dyn Keys>,
    /// Of the random numbers.
    pub seed: u64,
}

/// How a frame goes: both are authenticated and encrypted by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// May be lost; at most [`crate::MAX_DATAGRAM`] bytes.
    Datagram,
    /// Sent again until it arrives, as long as there is a connection; in any order.
    Stream,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A frame came. `from` is the name on the peer's certificate.
    Frame {
        /// The authenticated name.
        from: &'a str,
        /// The frame.
        bytes: &'a [u8],
    },
    /// It is [`crate::Node::wakes_at`], or any other moment.
    Timer,
    /// One's own state, as often as one likes: what changes little waits or is not told.
    Publish(Box<Head>),
    /// One's own record of [`Slot::Services`] or [`Slot::Intent`]; other slots are ignored, as are
    /// bodies that make the record longer than [`crate::MAX_RECORD`].
    Put {
        /// Which.
        slot: Slot,
        /// What it says.
        body: &'a [u8],
    },
    /// A record that the hub signed, from the hub itself: see [`crate::Floor::seal`].
    Floor(&'a [u8]),
    /// A seed was dialled, and that is the name on its certificate.
    Met(Name),
    /// A frame could not be sent: there is no connection and none can be opened.
    Undialable(Name),
    /// Say goodbye. Go on for a second or so, so that it is heard.
    Leave,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this to disk before what follows is done; a start gives it back in [`Setup`].
    Persist {
        /// The incarnation in use from now on.
        incarnation: u64,
    },
    /// Send a frame.
    Send {
        /// To whom.
        to: Name,
        /// How.
        how: Channel,
        /// What.
        bytes: Vec<u8>,
    },
    /// A member is seen in another state, or in another life.
    Member {
        /// Who; also this member itself, when it is removed.
        name: Name,
        /// How it is seen now.
        state: State,
        /// Its life.
        incarnation: u64,
    },
    /// A record is new, one's own included.
    Record {
        /// Whose.
        name: Name,
        /// Which.
        slot: Slot,
        /// How new.
        stamp: Stamp,
    },
    /// That member's key is not to be trusted any more: cut the links to it, refuse new ones.
    Revoke {
        /// Who.
        name: Name,
    },
    /// That member's key, whichever the hub has let in since, is to be trusted again.
    Restore {
        /// Who.
        name: Name,
    },
    /// Dial one of the configured seeds, any: often while nobody is known who lives, and now and
    /// then anyway. The answer is [`Event::Met`]; failure needs none.
    DialSeeds,
}
