//! The hub among the members: a member like the others, that alone can admit and remove.
//!
//! What the members say of each other becomes the hub's [`Verdicts`], so that a cluster which only
//! the hub does not reach is not taken for dead.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use kogge_gossip::{Floor, Head, Micros, Name, SECOND, State, View, Word};
use kogge_member::ObjectKey;
use kogge_net::{
    Authority, AuthorityError, FleetReport, Gossip, Identity, Issued, Options, StartError,
};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use crate::{
    context::Shared,
    controllers::cluster,
    verdicts::{Verdict, Verdicts},
};

/// How long the certificate for links of a member is good; it is renewed at two thirds.
const LIFE: Duration = Duration::from_hours(24);

/// The hub's own, which it renews at each start.
const OWN_LIFE: Duration = Duration::from_hours(24 * 365);

/// What changed is looked at so often, and when something is said to have changed.
const LOOK: Duration = Duration::from_secs(1);

/// Looks in a row in which a member has no Cluster, until it is removed.
const PATIENCE: u32 = 5;

/// Who has not heard a single other member for so long is cut off himself.
const CUT_OFF: Micros = 5 * SECOND;

pub struct GossipOptions {
    /// UDP and TCP.
    pub listen: SocketAddr,
    /// Where members dial the hub, `host:port`.
    pub advertise: Vec<String>,
    /// Where the fleet's key and the table are kept.
    pub dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum GossipError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0:?} is no name of a member")]
    Name(String),
}

/// What a member needs to gossip.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Admission {
    pub issued: Issued,
    /// Where to begin, `host:port`.
    pub seeds: Vec<String>,
}

/// The gossip, once it is joined.
pub(crate) type Listening = Arc<OnceLock<Arc<FleetGossip>>>;

/// The hub's end of the gossip. Stops when it is dropped.
pub struct FleetGossip {
    gossip: Arc<Gossip>,
    authority: Arc<Authority>,
    advertise: Vec<String>,
    now: fn() -> Timestamp,
    _tasks: JoinSet<()>,
}

impl FleetGossip {
    pub(crate) async fn start(
        hub: &Shared,
        options: GossipOptions,
        verdicts: Verdicts,
    ) -> Result<Self, GossipError> {
        let now = hub.now;
        let shared = hub.clone();
        // The identity of its store is the fleet's.
        let hub = hub.works.hub();
        let authority = Authority::load_or_create(&options.dir, hub, now())?;
        let identity = authority.identity(&name_of(hub)?, &uid_of(hub), OWN_LIFE, now())?;
        let gossip = Gossip::start(Options {
            identity,
            listen: options.listen,
            advertise: options.advertise.clone(),
            seeds: Vec::new(),
            dir: Some(options.dir),
            head: Head { hub: true, hub_link: true, ..Head::default() },
            now,
        })
        .await?;
        let gossip = Arc::new(gossip);
        let mut advertise = options.advertise;
        if advertise.is_empty() {
            advertise.push(gossip.address().to_string());
        }
        let authority = Arc::new(authority);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(gossip.clone(), verdicts, now));
        let registry =
            Registry { hub: shared, gossip: gossip.clone(), authority: authority.clone() };
        tasks.spawn(registry.remove_for_ever());
        Ok(Self { gossip, authority, advertise, now, _tasks: tasks })
    }

    /// Lets a member in by this name, with its key.
    ///
    /// # Errors
    /// If the name is none, or no certificate can be made.
    pub async fn admit(
        &self,
        member: &str,
        uid: &[u8; 16],
        key: &[u8; 32],
    ) -> Result<Admission, GossipError> {
        let name = Name::new(member).ok_or_else(|| GossipError::Name(member.to_owned()))?;
        let issued = self.authority.issue(&name, uid, key, LIFE, (self.now)())?;
        let view = self.gossip.view().await;
        let known = view.and_then(|it| it.members.into_iter().find(|it| it.name == name));
        if let Some(known) = known.filter(|it| it.state == State::Removed) {
            let floor = floor(known.incarnation, false, (self.now)());
            self.gossip.floor(self.authority.floor(&name, &floor)).await;
        }
        Ok(Admission { issued, seeds: self.advertise.clone() })
    }

    /// A member in the hub's own process, with a key that is made here.
    ///
    /// # Errors
    /// If the name is none, or no certificate can be made.
    pub fn member(&self, member: &str, uid: &str) -> Result<Identity, GossipError> {
        let name = Name::new(member).ok_or_else(|| GossipError::Name(member.to_owned()))?;
        Ok(self.authority.identity(&name, &uid_of(uid), OWN_LIFE, (self.now)())?)
    }

    /// The fleet as the hub sees it, or as a member does; `None` if that one cannot be asked.
    pub async fn report(&self, from: Option<&str>) -> Option<FleetReport> {
        match from {
            None => self.gossip.view().await.map(FleetReport::from),
            Some(member) => self.gossip.report_of(&Name::new(member)?).await,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.gossip.address()
    }
}

/// The hub's name among the members: no cluster's, since the identity of its store is in it.
fn name_of(hub: &str) -> Result<Name, GossipError> {
    let short: String = hub.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let text = format!("hub-{}", short.to_ascii_lowercase());
    Name::new(&text).ok_or(GossipError::Name(text))
}

/// The bytes of a uid; what is none is as good as any other.
pub fn uid_of(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let text = str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(text, 16).unwrap_or(0);
    }
    bytes
}

/// A floor; its serial is the time, which counts up whatever becomes of the disk.
fn floor(incarnation: u64, revoked: bool, now: Timestamp) -> Floor {
    let serial = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Floor { serial, incarnation, revoked }
}

/// Keeps the fleet's members to those that are Clusters.
struct Registry {
    hub: Shared,
    gossip: Arc<Gossip>,
    authority: Arc<Authority>,
}

impl Registry {
    /// Removes, for ever, who has no Cluster any more: late news of it raises nobody from the dead.
    async fn remove_for_ever(self) {
        let mut look = tokio::time::interval(LOOK);
        let mut missing: BTreeMap<Name, u32> = BTreeMap::new();
        loop {
            look.tick().await;
            // Before all is read, one that is not known may only not be read yet.
            if !self.hub.works.is_complete() {
                continue;
            }
            let Some(view) = self.gossip.view().await else { return };
            let gone = view.members.into_iter().filter(|it| {
                let key = ObjectKey::new(cluster::GROUP, "Cluster", "", it.name.as_str());
                !it.hub && it.state != State::Removed && self.hub.cache.get(&key).is_none()
            });
            let before = std::mem::take(&mut missing);
            for name in gone.map(|it| it.name) {
                // An agent that just came in may gossip before its Cluster is seen here.
                let looks = before.get(&name).map_or(1, |it| it + 1);
                if looks == PATIENCE {
                    let floor = floor(Floor::REMOVED, true, (self.hub.now)());
                    self.gossip.floor(self.authority.floor(&name, &floor)).await;
                }
                missing.insert(name, looks);
            }
        }
    }
}

/// Passes on what the members say, for ever.
async fn listen(gossip: Arc<Gossip>, verdicts: Verdicts, now: fn() -> Timestamp) {
    let mut changes = gossip.changes();
    let mut look = tokio::time::interval(LOOK);
    let mut judge = Judge::default();
    loop {
        tokio::select! {
            changed = changes.recv() => if matches!(changed, Err(RecvError::Closed)) {
                return;
            },
            _ = look.tick() => {}
        }
        let Some(view) = gossip.view().await else { return };
        verdicts.set_cut_off(is_cut_off(&view));
        for (cluster, verdict) in judge.look(&view, now()) {
            verdicts.set(&cluster, verdict);
        }
    }
}

/// Whether the hub hears nobody although there are others.
fn is_cut_off(view: &View) -> bool {
    let mut others = view.members.iter().filter(|it| {
        it.name != view.from && matches!(it.state, State::Alive | State::Suspect | State::Dead)
    });
    let heard = |it: &kogge_gossip::MemberView| it.heard_ago.is_some_and(|ago| ago < CUT_OFF);
    others.clone().next().is_some() && !others.any(heard)
}

/// Remembers since when members are dead.
#[derive(Default)]
struct Judge {
    dead: BTreeMap<String, Timestamp>,
}

impl Judge {
    fn look(&mut self, view: &View, now: Timestamp) -> Vec<(String, Option<Verdict>)> {
        let clusters = view.members.iter().filter(|it| !it.hub && it.name != view.from);
        let mut verdicts = Vec::new();
        for member in clusters {
            let name = member.name.to_string();
            if member.state != State::Dead {
                self.dead.remove(&name);
            }
            let verdict = match member.state {
                State::Alive | State::Suspect => {
                    let seen_by = member.vouchers().filter(|it| **it != view.from);
                    Some(Verdict::Alive { seen_by: seen_by.map(ToString::to_string).collect() })
                }
                State::Dead => {
                    let since = *self.dead.entry(name.clone()).or_insert(now);
                    let down = |it: &&(Name, Option<Word>)| it.1 == Some(Word::Down);
                    let down = member.observers.iter().filter(down);
                    let observers = down.map(|it| it.0.to_string()).collect();
                    Some(Verdict::Dead { since, observers })
                }
                State::Left | State::Removed => None,
            };
            verdicts.push((name, verdict));
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_gossip::{Health, MemberView};

    fn member(text: &str, state: State, observers: &[(&str, Option<Word>)]) -> MemberView {
        let name = |it: &str| Name::new(it).unwrap();
        MemberView {
            name: name(text),
            state,
            health: Health::Serving,
            hub: text.starts_with("hub"),
            incarnation: 1,
            version: 1,
            heard_ago: Some(SECOND),
            changed_ago: 0,
            round_trip: None,
            observers: observers.iter().map(|it| (name(it.0), it.1)).collect(),
        }
    }

    fn view(members: Vec<MemberView>) -> View {
        let from = Name::new("hub-1").unwrap();
        View { from, incarnation: 1, root: 0, local_health: 0, members }
    }

    #[test]
    fn what_members_say_becomes_verdicts() {
        let down = Some(Word::Down);
        let view = view(vec![
            member("hub-1", State::Alive, &[]),
            member("eu", State::Alive, &[("hub-1", down), ("us", None), ("asia", down)]),
            member("us", State::Dead, &[("eu", down), ("asia", down), ("hub-1", None)]),
            member("old", State::Removed, &[]),
        ]);
        let mut judge = Judge::default();
        let first = judge.look(&view, Timestamp::UNIX_EPOCH);
        let dead = Verdict::Dead {
            since: Timestamp::UNIX_EPOCH,
            observers: vec!["eu".into(), "asia".into()],
        };
        let alive = Verdict::Alive { seen_by: vec!["us".into()] };
        let want = [("eu", Some(alive)), ("us", Some(dead)), ("old", None)];
        assert_eq!(first, want.map(|it| (it.0.to_owned(), it.1)));
        let later = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(9);
        assert_eq!(judge.look(&view, later), first, "dead since then, not since now");
    }

    #[test]
    fn who_hears_nobody_is_cut_off() {
        let mut eu = member("eu", State::Dead, &[]);
        assert!(!is_cut_off(&view(vec![member("hub-1", State::Alive, &[])])));
        assert!(!is_cut_off(&view(vec![eu.clone()])));
        eu.heard_ago = Some(CUT_OFF);
        assert!(is_cut_off(&view(vec![eu])));
    }

    #[test]
    fn the_hubs_name_is_of_its_identity() {
        let hub = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(name_of(hub).unwrap().as_str(), "hub-0f8fad5bd9cb");
        assert_eq!(uid_of(hub)[..2], [0x0f, 0x8f]);
    }
}
