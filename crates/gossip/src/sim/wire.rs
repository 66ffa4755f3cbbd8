//! Frames on their way: connections, datagrams that get lost, streams that try again.

use super::world::{Item, World};
use crate::event::Channel;
use crate::frame::Frame;
use crate::id::{MS, Micros, SECOND};

/// Tries of a stream: the span until the next one; then it is given up.
const TRIES: [Micros; 6] = [100 * MS, 200 * MS, 400 * MS, 800 * MS, 1_600 * MS, SECOND];

/// A connection that is not used is closed.
const IDLE: Micros = 30 * SECOND;

/// How many frames of a million a hostile host abuses.
const ABUSED: u64 = 200_000;

impl World {
    /// Sends a frame on: as it was, under one's own name, or that with a byte changed.
    pub(super) fn abuse(&mut self, host: usize, bytes: &[u8]) {
        if !self.rng.chance(ABUSED) {
            return;
        }
        let to = usize::try_from(self.rng.below(self.hosts.len() as u64)).unwrap_or(0);
        let mut bytes = bytes.to_vec();
        let kind = self.rng.below(3);
        if 0 < kind
            && let Ok((_, frame)) = Frame::read(&bytes)
        {
            bytes = frame.bytes(self.hosts[host].name.as_str());
        }
        if kind == 2 {
            let at = usize::try_from(self.rng.below(bytes.len() as u64)).unwrap_or(0);
            bytes[at] ^= 1 << self.rng.below(8);
        }
        self.happened.abused += 1;
        self.send(host, to, Channel::Stream, bytes);
    }

    pub(super) fn send(&mut self, from: usize, to: usize, how: Channel, bytes: Vec<u8>) {
        if self.hosts.len() <= to {
            return;
        }
        if !self.connected(from, to) {
            self.push(self.now, Item::Undialable { at: from, peer: to });
            return;
        }
        match how {
            Channel::Datagram => self.datagram(from, to, bytes),
            Channel::Stream => self.stream(from, to, bytes, 0),
        }
    }

    /// Whether there is a connection or one can be opened. Hidden hosts open theirs themselves.
    fn connected(&mut self, from: usize, to: usize) -> bool {
        if self.hosts[from].hidden {
            self.hosts[from].opened.insert(to, self.now);
        }
        if !self.hosts[to].hidden {
            return true;
        }
        let used = self.hosts[to].opened.get(&from).copied();
        let warm = used.is_some_and(|it| self.now < it + IDLE) || {
            let name = &self.hosts[from].name;
            self.hosts[to].node.as_ref().is_some_and(|it| it.warm().contains(name))
        };
        warm && !self.hosts[from].hidden
    }

    fn datagram(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        self.hosts[from].sent.add(Channel::Datagram, bytes.len());
        if !self.net.open(from, to) {
            self.happened.cut += 1;
            return;
        }
        if 0 < self.net.loss && self.rng.chance(self.net.loss) {
            self.happened.lost += 1;
            return;
        }
        let how = Channel::Datagram;
        let mut at = self.now + self.net.takes(from, to, &mut self.rng);
        if 0 < self.net.duplicates && self.rng.chance(self.net.duplicates) {
            self.happened.duplicated += 1;
            let again = at + self.rng.below(50 * MS);
            self.push(again, Item::Frame { from, to, how, bytes: bytes.clone() });
        }
        if 0 < self.net.late && self.rng.chance(self.net.late) {
            self.happened.late += 1;
            at += self.rng.below(300 * MS);
        }
        self.push(at, Item::Frame { from, to, how, bytes });
    }

    pub(super) fn stream(&mut self, from: usize, to: usize, bytes: Vec<u8>, tries: usize) {
        let how = Channel::Stream;
        self.hosts[from].sent.add(how, bytes.len());
        let open = self.net.open(from, to) && self.net.open(to, from);
        if open && !(0 < self.net.loss && self.rng.chance(self.net.loss)) {
            let at = self.now + self.net.takes(from, to, &mut self.rng);
            self.push(at, Item::Frame { from, to, how, bytes });
            return;
        }
        let count = if open { &mut self.happened.lost } else { &mut self.happened.cut };
        *count += 1;
        match TRIES.get(tries) {
            Some(wait) => {
                self.push(self.now + wait, Item::Stream { from, to, bytes, tries: tries + 1 });
            }
            None => self.push(self.now, Item::Undialable { at: from, peer: to }),
        }
    }
}
