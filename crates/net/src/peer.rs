//! The links to one peer, the best first.

use std::time::Duration;

use bytes::Bytes;
use kogge_gossip::Channel;
use tokio::{sync::oneshot, task::JoinSet, time::Instant};

use crate::{
    carry::Carried,
    link::{Link, Stuck},
};

/// Links to one peer; it may have dialled while it was dialled.
const MOST_LINKS: usize = 4;

/// Who dials by TCP has found no other way: for so long frames go to it by QUIC and by TCP.
const DOUBT: Duration = Duration::from_secs(3);

/// How often QUIC is tried where there is only TCP.
const TRY_AGAIN: Duration = Duration::from_mins(1);

/// What a peer's task is asked to do.
pub(crate) enum ToPeer {
    Send {
        how: Channel,
        bytes: Bytes,
        addresses: Vec<String>,
    },
    /// A link that the peer opened, or that was opened without knowing its name.
    Adopt(Link),
    /// A link to a seed, which may be linked already.
    Meet(Link),
    Ask {
        answer: oneshot::Sender<Vec<u8>>,
        addresses: Vec<String>,
    },
    /// A stream to the hub that this peer carries.
    Carry {
        answer: oneshot::Sender<Carried>,
        addresses: Vec<String>,
    },
    /// This frame does not get through by QUIC.
    Stuck {
        bytes: Bytes,
        addresses: Vec<String>,
    },
    /// A link beside one that is stuck, and what it is to carry first.
    Detour {
        link: Link,
        bytes: Bytes,
    },
    /// A link that was stuck, and is not any more.
    Carries(Link),
    /// Have a link, for the peer cannot open one.
    Keep {
        addresses: Vec<String>,
    },
    /// Close all links.
    Close,
}

#[derive(Default)]
pub(crate) struct Peer {
    open: Vec<Link>,
    /// Until then it is not known whether QUIC carries.
    doubt: Option<Instant>,
    /// When QUIC was last tried beside TCP.
    tried: Option<Instant>,
    writing: JoinSet<()>,
}

impl Peer {
    pub fn has_link(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn best(&self) -> Option<Link> {
        self.open.first().cloned()
    }

    pub fn forget_closed(&mut self) {
        self.open.retain(Link::is_open);
    }

    /// The newest first, and QUIC before TCP; of too many the oldest goes.
    pub fn adopt(&mut self, link: Link) {
        let first = |it: &Link| !it.is_quic();
        let first_tcp = self.open.iter().position(first).unwrap_or(self.open.len());
        let at = if link.is_quic() { 0 } else { first_tcp };
        if 0 < at {
            self.doubt = Some(Instant::now() + DOUBT);
        }
        self.open.insert(at, link);
        if MOST_LINKS < self.open.len() {
            let last = self.open.len() - 1;
            let oldest = if at == last { last - 1 } else { last };
            self.open.remove(oldest).close();
        }
    }

    /// One QUIC link is enough, and others' streams may be on it.
    pub fn meet(&mut self, link: Link) {
        if self.open.iter().any(Link::is_quic) {
            link.close();
        } else {
            self.adopt(link);
        }
    }

    /// Only TCP, for a minute or longer: QUIC is worth another try.
    pub fn may_try_quic(&mut self) -> bool {
        let now = Instant::now();
        let due = self.has_link() && !self.open.iter().any(Link::is_quic);
        let due = due && self.tried.is_none_or(|it| it + TRY_AGAIN < now);
        if due {
            self.tried = Some(now);
        }
        due
    }

    /// Sends by the best link, and where that is in doubt by TCP as well.
    pub fn send<S: Fn(Stuck) + Send + 'static>(
        &mut self,
        how: Channel,
        bytes: &Bytes,
        stuck: impl Fn() -> S,
    ) {
        let in_doubt = self.doubt.is_some_and(|it| Instant::now() < it);
        let mut links = self.open.iter();
        if let Some(link) = links.next() {
            link.send(how, bytes.clone(), &mut self.writing, stuck());
            let other = links.find(|it| in_doubt && link.is_quic() && !it.is_quic());
            if let Some(other) = other {
                other.send(how, bytes.clone(), &mut self.writing, stuck());
            }
        }
    }

    pub fn ask(&mut self, answer: oneshot::Sender<Vec<u8>>) {
        if let Some(link) = self.open.iter().find(|it| it.is_quic()) {
            link.ask(answer, &mut self.writing);
        }
    }

    /// From now on TCP first, where there is such a link: says whether there is.
    pub fn detour(&mut self, bytes: &Bytes) -> bool {
        let Some(at) = self.open.iter().position(|it| !it.is_quic()) else { return false };
        self.open[..=at].rotate_right(1);
        self.open[0].send(Channel::Stream, bytes.clone(), &mut self.writing, |_| {});
        true
    }

    /// A QUIC link that is known to carry is the best.
    pub fn prefer(&mut self, link: &Link) {
        let is_it = |it: &Link| it.is_same(link);
        if let Some(at) = self.open.iter().position(is_it) {
            self.open[..=at].rotate_right(1);
        }
    }

    pub fn close(&mut self) {
        self.open.drain(..).for_each(|it| it.close());
    }
}
