//! What happens to frames between hosts.

use crate::event::Channel;
use crate::id::{MS, Micros, Rng};

/// IP and UDP headers of one packet.
pub const HEADERS: u64 = 28;
/// A stream is cut into packets of this size.
const PACKET: u64 = 1_200;

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Anything of this range, drawn anew for each frame.
    Uniform(Micros, Micros),
    /// By distance: hosts lie on a line this long; one eighth of jitter.
    Distance(Micros),
}

/// The state of the network.
#[derive(Clone, Debug)]
pub struct Net {
    /// How long frames take.
    pub latency: Latency,
    /// Lost, in a million.
    pub loss: u64,
    /// Datagrams that come twice, in a million.
    pub duplicates: u64,
    /// Datagrams that come up to 300 ms late, in a million.
    pub late: u64,
    /// Hosts of different groups do not reach each other; a host past the end is in group 0.
    pub groups: Vec<u8>,
    /// (from, to) that carry nothing.
    pub cuts: Vec<(usize, usize)>,
}

impl Default for Net {
    fn default() -> Self {
        let latency = Latency::Uniform(10 * MS, 40 * MS);
        Self { latency, loss: 0, duplicates: 0, late: 0, groups: Vec::new(), cuts: Vec::new() }
    }
}

impl Net {
    /// Whether there is a way.
    pub fn open(&self, from: usize, to: usize) -> bool {
        let group = |it: usize| self.groups.get(it).copied().unwrap_or(0);
        group(from) == group(to) && (self.cuts.is_empty() || !self.cuts.contains(&(from, to)))
    }

    /// No way is closed.
    pub fn whole(&self) -> bool {
        self.cuts.is_empty() && self.groups.windows(2).all(|it| it[0] == it[1])
    }

    /// How long one frame takes.
    pub fn takes(&self, from: usize, to: usize, rng: &mut Rng) -> Micros {
        match self.latency {
            Latency::Uniform(least, most) => rng.within(least..most.max(least + 1)),
            Latency::Distance(longest) => {
                let place = |it: usize| crate::id::mix(it as u64, 77) % (longest + 1);
                let way = MS + place(from).abs_diff(place(to));
                way + rng.below(way / 8 + 1)
            }
        }
    }
}

/// What one host, or all, have sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames, of streams every try.
    pub frames: u64,
    /// With IP and UDP headers.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one frame.
    pub fn add(&mut self, how: Channel, bytes: usize) {
        let bytes = bytes as u64;
        let packets = match how {
            Channel::Datagram => 1,
            Channel::Stream => bytes.div_ceil(PACKET).max(1),
        };
        self.frames += 1;
        self.bytes += bytes + packets * HEADERS;
    }
}
