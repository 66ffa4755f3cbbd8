//! A member's head: what others want to know of a cluster at any time, in 350 to 400 bytes.
//!
//! Noise costs nothing: amounts are kept in steps of 5 % ([`Capacity::settled`]), and whether a
//! change is urgent is [`Head::urgent`]'s to say.

use crate::codec::{Malformed, Read, Reader, put_bytes, put_number};

/// The longest credential.
pub const MAX_CREDENTIAL: usize = 128;
/// The most addresses.
pub const MAX_ADDRESSES: usize = 4;
/// The longest address.
pub const MAX_ADDRESS: usize = 64;
/// The most resources besides CPU, memory and pods.
pub const MAX_EXTENDED: usize = 4;

/// How a cluster is, as its agent sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Health {
    /// All is well.
    #[default]
    Serving = 0,
    /// Its API server answers, not all is well.
    Degraded = 1,
    /// Its API server does not answer.
    Down = 2,
    /// It leaves the fleet of its own accord, and is not missed.
    Left = 3,
}

/// What is there of a resource, and what is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Allocatable, in the resource's own small unit.
    pub total: u64,
    /// Requested.
    pub used: u64,
}

/// Nodes and room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Nodes.
    pub nodes: u64,
    /// Nodes that are ready.
    pub ready: u64,
    /// Milli-CPU.
    pub cpu: Amount,
    /// MiB.
    pub memory: Amount,
    /// Pods.
    pub pods: Amount,
    /// Other resources by a short name, at most [`MAX_EXTENDED`].
    pub extended: Vec<(String, Amount)>,
    /// How many pods of 2^i times (250m CPU, 512 MiB) the nodes still take, one size after another.
    pub largest_fit: [u16; 8],
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The identity behind the name: of a cluster, the uid of its namespace kube-system.
    pub uid: [u8; 16],
    /// What the hub signed to bind name, uid and key. Opaque here.
    pub credential: Vec<u8>,
    /// How it is.
    pub health: Health,
    /// Whether others can open connections to it.
    pub dialable: bool,
    /// A hub, not a cluster.
    pub hub: bool,
    /// Whether it has a link to a hub at the moment.
    pub hub_link: bool,
    /// Where it is dialled, host:port.
    pub addresses: Vec<String>,
    /// The agent's version.
    pub agent: [u16; 3],
    /// Kubernetes' version.
    pub kubernetes: [u16; 3],
    /// Nodes and room.
    pub capacity: Capacity,
    /// Of the list of served APIs.
    pub apis: [u8; 16],
    /// Of the works that are applied.
    pub works: [u8; 16],
    /// Works that are not as they should be.
    pub drifted: u64,
    /// Of the exported services.
    pub services: [u8; 16],
    /// The newest epoch of the hub's intent that it has.
    pub intent_epoch: u64,
}

impl Amount {
    /// `old` while that is less than 5 % of the total off, so that an amount at a step's edge is
    /// at rest.
    fn settled(self, old: Self) -> Self {
        let near = |a: u64, b: u64| a.abs_diff(b).saturating_mul(20) < self.total;
        let step = |it: u64| {
            let size = (self.total / 20).max(1);
            it.div_ceil(size).saturating_mul(size).min(self.total.max(it))
        };
        if self.total == old.total && near(self.used, old.used) {
            return old;
        }
        Self { total: self.total, used: step(self.used) }
    }
}

impl Capacity {
    /// This, in steps of 5 % of what there is, and as `old` where it is less than a step away.
    #[must_use]
    pub fn settled(&self, old: &Self) -> Self {
        let mut new = self.clone();
        new.cpu = self.cpu.settled(old.cpu);
        new.memory = self.memory.settled(old.memory);
        new.pods = self.pods.settled(old.pods);
        for (at, (name, amount)) in new.extended.iter_mut().enumerate() {
            let before = old.extended.get(at).filter(|it| it.0 == *name);
            *amount = amount.settled(before.map(|it| it.1).unwrap_or_default());
        }
        let still = (&new.cpu, &new.memory, &new.pods, &new.extended, new.nodes, new.ready);
        if still == (&old.cpu, &old.memory, &old.pods, &old.extended, old.nodes, old.ready) {
            new.largest_fit = old.largest_fit;
        }
        new
    }
}

impl Head {
    /// Whether going from `old` to this is worth telling at once: anything but room.
    pub fn urgent(&self, old: &Self) -> bool {
        let quiet = Self { capacity: old.capacity.clone(), ..self.clone() };
        quiet != *old || self.capacity.ready < old.capacity.ready
    }

    /// The body of a head's record.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        out.extend_from_slice(&self.uid);
        put_bytes(&mut out, &self.credential);
        out.push(self.health as u8);
        let flags = [self.dialable, self.hub, self.hub_link];
        out.push(flags.iter().rev().fold(0, |bits, it| bits << 1 | u8::from(*it)));
        out.push(u8::try_from(self.addresses.len()).unwrap_or(u8::MAX));
        for address in &self.addresses {
            put_bytes(&mut out, address.as_bytes());
        }
        for number in self.agent.iter().chain(&self.kubernetes) {
            put_number(&mut out, u64::from(*number));
        }
        put_capacity(&mut out, &self.capacity);
        for digest in [&self.apis, &self.works, &self.services] {
            out.extend_from_slice(digest);
        }
        put_number(&mut out, self.drifted);
        put_number(&mut out, self.intent_epoch);
        out
    }

    /// Reads [`Head::body`].
    pub fn read(body: &[u8]) -> Read<Self> {
        let mut reader = Reader::new(body);
        let uid = reader.array()?;
        let credential = reader.bytes(MAX_CREDENTIAL)?.to_vec();
        let health = match reader.byte()? {
            0 => Health::Serving,
            1 => Health::Degraded,
            2 => Health::Down,
            3 => Health::Left,
            _ => return Err(Malformed::Unknown),
        };
        let flags = reader.up_to(7)?;
        let count = reader.count(MAX_ADDRESSES)?;
        let addresses = (0..count)
            .map(|_| reader.text(MAX_ADDRESS).map(ToOwned::to_owned))
            .collect::<Read<_>>()?;
        let (agent, kubernetes) = (version(&mut reader)?, version(&mut reader)?);
        let capacity = capacity(&mut reader)?;
        let (apis, works, services) = (reader.array()?, reader.array()?, reader.array()?);
        let (drifted, intent_epoch) = (reader.number()?, reader.number()?);
        reader.end()?;
        let flag = |bit: u64| flags >> bit & 1 == 1;
        let (dialable, hub, hub_link) = (flag(0), flag(1), flag(2));
        Ok(Self {
            uid,
            credential,
            health,
            dialable,
            hub,
            hub_link,
            addresses,
            agent,
            kubernetes,
            capacity,
            apis,
            works,
            drifted,
            services,
            intent_epoch,
        })
    }
}

/// What the ring asks of a head's body that was read: health, dialable, hub.
pub(crate) fn brief(body: &[u8]) -> (Health, bool, bool) {
    let mut reader = Reader::new(body);
    let _ = (reader.array::<16>(), reader.bytes(MAX_CREDENTIAL));
    let left = reader.byte().is_ok_and(|it| it == Health::Left as u8);
    let flags = reader.byte().unwrap_or_default();
    let health = if left { Health::Left } else { Health::Serving };
    (health, flags & 1 == 1, flags >> 1 & 1 == 1)
}

/// What every record of a member is checked with: uid and credential of its head's body.
pub(crate) fn identity(body: &[u8]) -> Read<([u8; 16], &[u8])> {
    let mut reader = Reader::new(body);
    Ok((reader.array()?, reader.bytes(MAX_CREDENTIAL)?))
}

fn version(reader: &mut Reader<'_>) -> Read<[u16; 3]> {
    let mut part =
        || reader.up_to(u64::from(u16::MAX)).map(|it| u16::try_from(it).unwrap_or(u16::MAX));
    Ok([part()?, part()?, part()?])
}

fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    put_number(out, amount.total);
    put_number(out, amount.used);
}

fn put_capacity(out: &mut Vec<u8>, it: &Capacity) {
    put_number(out, it.nodes);
    put_number(out, it.ready);
    for amount in [it.cpu, it.memory, it.pods] {
        put_amount(out, amount);
    }
    put_number(out, it.extended.len() as u64);
    for (name, amount) in &it.extended {
        put_bytes(out, name.as_bytes());
        put_amount(out, *amount);
    }
    for count in it.largest_fit {
        put_number(out, u64::from(count));
    }
}

fn amount(reader: &mut Reader<'_>) -> Read<Amount> {
    Ok(Amount { total: reader.number()?, used: reader.number()? })
}

fn capacity(reader: &mut Reader<'_>) -> Read<Capacity> {
    let (nodes, ready) = (reader.number()?, reader.number()?);
    let (cpu, memory, pods) = (amount(reader)?, amount(reader)?, amount(reader)?);
    let mut extended = Vec::new();
    for _ in 0..reader.count(MAX_EXTENDED)? {
        extended.push((reader.text(MAX_ADDRESS)?.to_owned(), amount(reader)?));
    }
    let mut largest_fit = [0; 8];
    for count in &mut largest_fit {
        *count = reader
            .up_to(u64::from(u16::MAX))
            .and_then(|it| u16::try_from(it).map_err(|_| Malformed::Limit))?;
    }
    Ok(Capacity { nodes, ready, cpu, memory, pods, extended, largest_fit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Head {
        let amount = |total| Amount { total, used: total / 3 };
        Head {
            uid: [7; 16],
            credential: vec![1; 104],
            health: Health::Degraded,
            dialable: true,
            hub: false,
            hub_link: true,
            addresses: vec!["gossip.eu-1.example.com:7946".into()],
            agent: [0, 12, 3],
            kubernetes: [1, 37, 2],
            capacity: Capacity {
                nodes: 120,
                ready: 119,
                cpu: amount(1_920_000),
                memory: amount(7_864_320),
                pods: amount(13_200),
                extended: vec![("nvidia.com/gpu".into(), amount(16))],
                largest_fit: [900, 420, 200, 90, 30, 8, 2, 0],
            },
            apis: [1; 16],
            works: [2; 16],
            drifted: 3,
            services: [4; 16],
            intent_epoch: 77_000,
        }
    }

    #[test]
    fn a_head_comes_back_and_is_small() {
        let body = full().body();
        assert_eq!(Head::read(&body), Ok(full()));
        assert_eq!(identity(&body), Ok(([7; 16], &[1_u8; 104][..])));
        let record = body.len() + 64 + 20;
        assert!((330..=400).contains(&record), "{record} bytes");
    }

    #[test]
    fn every_cut_of_a_head_is_refused() {
        let body = full().body();
        assert!((0..body.len()).all(|end| Head::read(&body[..end]).is_err()));
    }

    #[test]
    fn little_changes_of_room_change_nothing() {
        let at = |used| Capacity { cpu: Amount { total: 1_000, used }, ..Capacity::default() };
        let settled = at(501).settled(&Capacity::default());
        assert_eq!(settled.cpu.used, 550);
        for used in [501, 549, 551, 599] {
            assert_eq!(at(used).settled(&settled), settled, "{used}");
        }
        assert_eq!(at(601).settled(&settled).cpu.used, 650);
    }

    #[test]
    fn all_but_room_is_urgent() {
        let room = |ready| Capacity { ready, ..full().capacity };
        let head = |ready| Head { capacity: room(ready), ..full() };
        assert!(!head(120).urgent(&head(119)));
        assert!(head(118).urgent(&head(119)));
        assert!(Head { health: Health::Down, ..full() }.urgent(&full()));
    }
}
