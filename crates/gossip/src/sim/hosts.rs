//! What simulated members are called, and what they say of themselves.

use super::keys::SimKeys;
use crate::head::{Amount, Capacity, Head};
use crate::id::{Name, mix};

/// The simulated fleet's id.
pub const FLEET: &str = "simulated";

/// The name of a host.
pub(super) fn name_of(host: usize) -> Name {
    Name::new(&format!("m{host:04}")).expect("letters and digits")
}

pub(super) fn host_of(name: &Name) -> usize {
    name.as_str()[1..].parse().unwrap_or(usize::MAX)
}

/// A head as large as real ones.
pub(super) fn head_of(host: usize, load: u64) -> Head {
    let seed = mix(host as u64, 5);
    let mut uid = [0; 16];
    uid[..8].copy_from_slice(&seed.to_le_bytes());
    let amount = |total: u64| Amount { total, used: total * (load % 20) / 20 };
    let digest = |it: u64| {
        let mut digest = [0; 16];
        digest[..8].copy_from_slice(&mix(seed, it).to_le_bytes());
        digest[8..].copy_from_slice(&mix(seed, it + 9).to_le_bytes());
        digest
    };
    Head {
        uid,
        credential: SimKeys::credential(FLEET, &name_of(host), &uid),
        dialable: true,
        hub: host == 0,
        hub_link: true,
        addresses: vec![format!("gossip.cluster-{host}.example.com:7946")],
        agent: [0, 12, 3],
        kubernetes: [1, 37, 2],
        capacity: Capacity {
            nodes: 120,
            ready: 120,
            cpu: amount(1_920_000),
            memory: amount(7_864_320),
            pods: amount(13_200),
            extended: vec![("nvidia.com/gpu".into(), amount(16))],
            largest_fit: [900, 420, 200, 90, 30, 8, 2, 0],
        },
        apis: digest(1),
        works: digest(2),
        services: digest(3),
        intent_epoch: 77_000,
        ..Head::default()
    }
}
