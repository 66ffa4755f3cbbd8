//! The fleet as one member sees it, for people and programs.

use kogge_gossip::{Amount, Capacity, Health, MemberView, Micros, State, View, Word};
use serde::{Deserialize, Serialize};

/// All members as `from` sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetReport {
    pub from: String,
    pub incarnation: u64,
    /// Of all that is known, in hex: equal where equal things are known.
    pub root: String,
    /// How well the member does itself: 0 well, 3 badly.
    pub local_health: u8,
    pub members: Vec<MemberReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    pub name: String,
    /// `Alive`, `Suspect`, `Dead`, `Left` or `Removed`
    pub state: String,
    /// What it says of itself: `Serving`, `Degraded`, `Down` or `Left`
    pub health: String,
    /// How much room it says that it has; a hub has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityReport>,
    pub hub: bool,
    pub incarnation: u64,
    pub version: u64,
    /// Since it was heard by `from` itself; absent where the two do not talk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_seconds: Option<f64>,
    /// Since anything it says of itself changed.
    pub changed_seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_milliseconds: Option<f64>,
    /// Members that watch it and do not say that it is gone.
    pub vouchers: Vec<String>,
    /// What members that watch it have to say.
    pub links: Vec<LinkReport>,
}

/// The room of a cluster as its members know it, in steps of 5 %.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReport {
    pub nodes: u64,
    pub ready_nodes: u64,
    pub milli_cpu: AmountReport,
    pub memory_mebibytes: AmountReport,
    pub pods: AmountReport,
    /// How many pods of 2^i times (250m CPU, 512 MiB) the nodes still take, one size after another.
    pub largest_fit: [u16; 8],
}

/// What there is of something, and what of it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmountReport {
    pub total: u64,
    pub used: u64,
}

/// One member's word about its link to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkReport {
    pub from: String,
    /// `Down`: nobody asked gets through; `Cut`: only others do; `OneWay`: it is heard and does
    /// not answer; `Reached`: whatever others say.
    pub word: String,
}

impl From<View> for FleetReport {
    fn from(view: View) -> Self {
        Self {
            from: view.from.to_string(),
            incarnation: view.incarnation,
            root: format!("{:032x}", view.root),
            local_health: view.local_health,
            members: view.members.iter().map(member).collect(),
        }
    }
}

fn member(it: &MemberView) -> MemberReport {
    let link = |(from, word): &(kogge_gossip::Name, Option<Word>)| {
        let word = (*word)?;
        Some(LinkReport { from: from.to_string(), word: format!("{word:?}") })
    };
    MemberReport {
        name: it.name.to_string(),
        state: state(it.state).to_owned(),
        health: health(it.health).to_owned(),
        capacity: (!it.hub).then(|| capacity(&it.capacity)),
        hub: it.hub,
        incarnation: it.incarnation,
        version: it.version,
        heard_seconds: it.heard_ago.map(seconds),
        changed_seconds: seconds(it.changed_ago),
        round_trip_milliseconds: it.round_trip.map(|it| seconds(it) * 1e3),
        vouchers: it.vouchers().map(ToString::to_string).collect(),
        links: it.observers.iter().filter_map(link).collect(),
    }
}

fn capacity(it: &Capacity) -> CapacityReport {
    let amount = |it: Amount| AmountReport { total: it.total, used: it.used };
    CapacityReport {
        nodes: it.nodes,
        ready_nodes: it.ready,
        milli_cpu: amount(it.cpu),
        memory_mebibytes: amount(it.memory),
        pods: amount(it.pods),
        largest_fit: it.largest_fit,
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Alive => "Alive",
        State::Suspect => "Suspect",
        State::Dead => "Dead",
        State::Left => "Left",
        State::Removed => "Removed",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Serving => "Serving",
        Health::Degraded => "Degraded",
        Health::Down => "Down",
        Health::Left => "Left",
    }
}

fn seconds(micros: Micros) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}
