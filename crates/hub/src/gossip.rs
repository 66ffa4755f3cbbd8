//! The hub among the members: a member like the others, that alone can admit and remove.
//!
//! What the members say of each other becomes the hub's [`Verdicts`], so that a cluster which only
//! the hub does not reach is not taken for dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::Timestamp;
use kogge_api::{ConditionStatus::True, find_condition, fleet::Cluster};
use kogge_gossip::{Head, Health, MemberView, Micros, Name, SECOND, State, View, Word};
use kogge_model::names::HUB_PREFIX;
use kogge_net::{
    Authority, AuthorityError, FleetReport, Gossip, Identity, Issued, KeyReport, Options,
    StartError,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    context::Shared,
    controllers::cluster,
    floors::Floors,
    rotation::Rotation,
    verdicts::{Verdict, Verdicts},
};

/// How long the certificate for links of a member is good; it is renewed at two thirds.
pub(crate) const LIFE: Duration = Duration::from_hours(24);

/// Of the hub, and of members in its process; renewed likewise.
pub(crate) const OWN_LIFE: Duration = Duration::from_hours(24 * 365);

/// What the members say is looked at so often.
const LOOK: Duration = Duration::from_millis(500);

/// Gossip that does not answer for so long says nothing.
const ANSWER: Duration = Duration::from_secs(5);

/// Who has not heard a single other member for so long is cut off himself.
const CUT_OFF: Micros = 5 * SECOND;

pub struct GossipOptions {
    /// UDP and TCP.
    pub listen: SocketAddr,
    /// Where members dial the hub: names or addresses, with a port if it is not where it listens.
    pub advertise: Vec<String>,
    /// The hub's API, `host:port`: members' streams are carried there.
    pub api: String,
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
    floors: Floors,
    rotation: Arc<Rotation>,
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
        let mut identity = authority.identity(&name_of(hub)?, &uid_of(hub), OWN_LIFE, now())?;
        identity.issued.trust = authority.own_trust(now());
        let gossip = Gossip::start(Options {
            identity: identity.clone(),
            listen: Some(options.listen),
            advertise: options.advertise,
            seeds: Vec::new(),
            carries_to: Some(options.api),
            dir: Some(options.dir),
            head: Head { hub: true, hub_link: true, ..Head::default() },
            now,
        })
        .await?;
        let gossip = Arc::new(gossip);
        if gossip.advertised().await.is_empty() {
            tracing::warn!("nobody can dial the hub's gossip: name the hub with --name");
        }
        let floors = Floors::new(gossip.clone(), Arc::new(authority), now);
        let rotation = Arc::new(Rotation::new(floors.clone(), identity));
        let mut tasks = JoinSet::new();
        tasks.spawn(rotation.clone().run());
        tasks.spawn(listen(shared.clone(), gossip.clone(), verdicts));
        tasks.spawn(remove_for_ever(shared, floors.clone()));
        Ok(Self { gossip, floors, rotation, _tasks: tasks })
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
        let name = member_name(member)?;
        let Floors { authority, now, .. } = &self.floors;
        let issued = authority.issue(&name, uid, key, LIFE, now())?;
        self.begin_anew(&name, key).await;
        Ok(Admission { issued, seeds: self.gossip.advertised().await })
    }

    /// Who was removed, or comes with another key, begins above all that was said under its name.
    async fn begin_anew(&self, name: &Name, key: &[u8; 32]) {
        let view = self.gossip.view().await;
        let known = view.and_then(|it| it.members.into_iter().find(|it| it.name == *name));
        let head = self.gossip.head(name).await;
        let another = head.is_some_and(|it| !it.credential.starts_with(key));
        if another || known.is_some_and(|it| it.state == State::Removed) {
            self.floors.begin_anew(name).await;
        }
    }

    /// A member in the hub's own process, with a key that is made here.
    ///
    /// # Errors
    /// If the name is none, or no certificate can be made.
    pub async fn member(&self, member: &str, uid: &str) -> Result<Identity, GossipError> {
        let name = member_name(member)?;
        let Floors { authority, now, .. } = &self.floors;
        let made = authority.identity(&name, &uid_of(uid), OWN_LIFE, now())?;
        self.begin_anew(&name, &made.key.public()).await;
        Ok(made)
    }

    /// What such a member was given, anew, once that is due.
    ///
    /// # Errors
    /// If no certificate can be made.
    pub fn renewal(&self, member: &Identity) -> Result<Option<Issued>, GossipError> {
        let Floors { authority, now, .. } = &self.floors;
        Ok(authority.renewal(member, authority.trust(now()), OWN_LIFE, now())?)
    }

    /// The fleet's keys that are trusted, the oldest first.
    pub fn keys(&self) -> Vec<KeyReport> {
        self.rotation.report()
    }

    /// Begins to rotate the fleet's key, durably.
    ///
    /// # Errors
    /// If it is being rotated already, or the keys cannot be written.
    pub async fn rotate_key(&self) -> Result<Vec<KeyReport>, AuthorityError> {
        self.rotation.begin().await
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

/// A cluster's name among the members.
fn member_name(text: &str) -> Result<Name, GossipError> {
    let name = Name::new(text).filter(|it| !is_hub(it));
    name.ok_or_else(|| GossipError::Name(text.to_owned()))
}

/// The hub's name among the members: no cluster's, since the identity of its store is in it.
fn name_of(hub: &str) -> Result<Name, GossipError> {
    let short: String = hub.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let text = format!("{HUB_PREFIX}{}", short.to_ascii_lowercase());
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

/// Takes those out of the fleet whose Cluster is deleted.
///
/// For ever: late news of one raises nobody from the dead. Of a Cluster that this hub has never
/// seen nothing follows: it may have come back with an older store.
async fn remove_for_ever(hub: Shared, floors: Floors) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    loop {
        look.tick().await;
        let clusters = hub.cache.all(cluster::GROUP, "Cluster");
        let now: BTreeSet<String> = clusters.into_iter().map(|it| it.0.name).collect();
        for gone in seen.difference(&now) {
            if let Some(name) = Name::new(gone) {
                floors.remove(&name).await;
            }
        }
        seen = now;
    }
}

/// Passes on what the members say, for ever. What they said holds only while they can be asked.
async fn listen(hub: Shared, gossip: Arc<Gossip>, verdicts: Verdicts) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut judge = Judge::default();
    loop {
        look.tick().await;
        let view = tokio::time::timeout(ANSWER, gossip.view()).await.ok().flatten();
        let Some(view) = view else {
            tracing::warn!("gossip does not answer: what members said of each other holds no more");
            verdicts.set_cut_off(false);
            for cluster in judge.forget() {
                verdicts.set(&cluster, None);
            }
            continue;
        };
        let removed = view.members.iter().filter(|it| it.removed);
        let removed = removed.map(|it| it.name.to_string()).collect();
        let heard = view.members.iter().any(|it| it.name != view.from && it.heard_ago.is_some());
        for cluster in hub.roll.fleet_says(removed, heard, (hub.now)()) {
            verdicts.reports().look_at(&cluster);
        }
        verdicts.set_cut_off(hears_nobody(&view) && !reaches_any(&hub));
        for (cluster, verdict) in judge.look(&view, (hub.now)()) {
            verdicts.set(&cluster, verdict);
        }
    }
}

/// Whether the hub hears no other member although there are some that live.
fn hears_nobody(view: &View) -> bool {
    let lives = |it: &&MemberView| {
        it.name != view.from && matches!(it.state, State::Alive | State::Suspect)
    };
    let heard = |it: &MemberView| it.heard_ago.is_some_and(|ago| ago < CUT_OFF);
    let mut others = view.members.iter().filter(lives);
    others.clone().next().is_some() && !others.any(heard)
}

/// Whether a cluster answers the hub by its own way.
fn reaches_any(hub: &Shared) -> bool {
    let clusters = hub.cache.values(cluster::GROUP, "Cluster");
    let clusters = clusters.into_iter().filter_map(|it| serde_json::from_value(it).ok());
    let mut conditions = clusters.map(|it: Cluster| it.status.conditions);
    conditions.any(|it| find_condition(&it, "Ready").is_some_and(|it| it.status == True))
}

/// Remembers since when members are dead, and by whose word: both stay when the observers change.
#[derive(Default)]
struct Judge {
    dead: BTreeMap<String, (Timestamp, Vec<String>)>,
    judged: BTreeSet<String>,
}

impl Judge {
    fn look(&mut self, view: &View, now: Timestamp) -> Vec<(String, Option<Verdict>)> {
        // Who hears nobody knows nothing of anybody.
        let deaf = hears_nobody(view);
        let lives = view.members.iter().filter(|it| it.state == State::Alive);
        let living: BTreeSet<&Name> = lives.map(|it| &it.name).collect();
        let mut verdicts = Vec::new();
        for member in view.members.iter().filter(|it| !is_hub(&it.name)) {
            let name = member.name.to_string();
            if member.state != State::Dead {
                self.dead.remove(&name);
            }
            let verdict = match member.state {
                _ if deaf => None,
                State::Alive | State::Suspect => alive(member, &living),
                State::Dead => self.dead(member, now),
                State::Left | State::Removed => None,
            };
            verdicts.push((name, verdict));
        }
        self.judged.extend(verdicts.iter().map(|it| it.0.clone()));
        verdicts
    }

    /// Dead by the word of other clusters. The hub's own word is no more than that it does not
    /// reach it, which it knows by itself.
    fn dead(&mut self, member: &MemberView, now: Timestamp) -> Option<Verdict> {
        let name = member.name.to_string();
        let known = self.dead.entry(name).or_insert((now, Vec::new()));
        let said = |it: &&(Name, Option<Word>)| it.1 == Some(Word::Down) && !is_hub(&it.0);
        let said = member.observers.iter().filter(said).map(|it| it.0.to_string());
        for observer in said {
            if !known.1.contains(&observer) {
                known.1.push(observer);
            }
        }
        let (since, observers) = known.clone();
        (!observers.is_empty()).then_some(Verdict::Dead { since, observers })
    }

    /// Everybody about whom something was said.
    fn forget(&mut self) -> BTreeSet<String> {
        self.dead.clear();
        std::mem::take(&mut self.judged)
    }
}

/// Alive by the word of other clusters that live; none if its agent says that it is down: then
/// its agent alone is what lives.
fn alive(member: &MemberView, living: &BTreeSet<&Name>) -> Option<Verdict> {
    let vouch = |it: &&Name| !is_hub(it) && living.contains(it);
    let seen_by: Vec<String> = member.vouchers().filter(vouch).map(ToString::to_string).collect();
    let is_seen = !seen_by.is_empty() && member.health != Health::Down;
    is_seen.then_some(Verdict::Alive { seen_by })
}

/// By its name, which the hub signed: no cluster is let in under such a one.
fn is_hub(name: &Name) -> bool {
    name.as_str().starts_with(HUB_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_gossip::{Capacity, Health, MemberView};

    fn member(text: &str, state: State, observers: &[(&str, Option<Word>)]) -> MemberView {
        let name = |it: &str| Name::new(it).unwrap();
        MemberView {
            name: name(text),
            state,
            health: Health::Serving,
            capacity: Capacity::default(),
            hub_link: true,
            removed: state == State::Removed,
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

    const DOWN: Option<Word> = Some(Word::Down);

    fn dead(since: i64, observers: &[&str]) -> Verdict {
        let since = Timestamp::from_second(since).unwrap();
        let observers = observers.iter().map(ToString::to_string).collect();
        Verdict::Dead { since, observers }
    }

    #[track_caller]
    fn check(
        judge: &mut Judge,
        members: Vec<MemberView>,
        second: i64,
        want: &[(&str, Option<Verdict>)],
    ) {
        let said = judge.look(&view(members), Timestamp::from_second(second).unwrap());
        let want: Vec<_> = want.iter().map(|it| (it.0.to_owned(), it.1.clone())).collect();
        assert_eq!(said, want);
    }

    #[test]
    fn what_members_say_becomes_verdicts() {
        let members = |us: &[(&str, Option<Word>)]| {
            vec![
                member("hub-1", State::Alive, &[]),
                member("eu", State::Alive, &[("hub-1", DOWN), ("asia", None), ("us", None)]),
                member("asia", State::Alive, &[("eu", None)]),
                member("us", State::Dead, us),
                member("old", State::Removed, &[]),
            ]
        };
        let alive = |it: &str| Some(Verdict::Alive { seen_by: vec![it.to_owned()] });
        let all = |us: Option<Verdict>| {
            [("eu", alive("asia")), ("asia", alive("eu")), ("us", us), ("old", None)]
        };
        let mut judge = Judge::default();
        let first = members(&[("eu", DOWN), ("asia", DOWN), ("hub-1", None)]);
        check(&mut judge, first, 0, &all(Some(dead(0, &["eu", "asia"]))));
        // Since then, not since now, and by whose word it was then.
        check(&mut judge, members(&[]), 9, &all(Some(dead(0, &["eu", "asia"]))));
        // What the hub says alone is no more than it knows.
        check(&mut Judge::default(), members(&[("hub-1", DOWN)]), 9, &all(None));
    }

    #[test]
    fn an_agent_whose_cluster_is_down_does_not_keep_it_alive() {
        let mut eu = member("eu", State::Alive, &[("asia", None)]);
        eu.health = Health::Down;
        let asia = member("asia", State::Alive, &[]);
        check(&mut Judge::default(), vec![eu, asia], 0, &[("eu", None), ("asia", None)]);
    }

    #[test]
    fn a_hub_that_hears_nobody_says_nothing_of_anybody() {
        let mut eu = member("eu", State::Alive, &[("asia", None)]);
        let mut asia = member("asia", State::Alive, &[("eu", None)]);
        (eu.heard_ago, asia.heard_ago) = (None, Some(CUT_OFF));
        let members = vec![member("hub-1", State::Alive, &[]), eu.clone(), asia];
        assert!(hears_nobody(&view(members.clone())));
        check(&mut Judge::default(), members, 0, &[("eu", None), ("asia", None)]);
        // With nobody left to hear it is not the hub's fault.
        eu.state = State::Dead;
        assert!(!hears_nobody(&view(vec![eu])));
    }

    #[test]
    fn no_cluster_has_a_hubs_name() {
        assert!(member_name("hub-1").is_err() && member_name("hubert").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_cluster_may_be_called_is_a_members_name(name in "[-.a-cA_]{0,60}|hub-[a-z]{0,3}") {
            if kogge_model::names::cluster_name(&name).is_ok() {
                proptest::prop_assert!(member_name(&name).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn the_hubs_name_is_of_its_identity() {
        let hub = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(name_of(hub).unwrap().as_str(), "hub-0f8fad5bd9cb");
        assert_eq!(uid_of(hub)[..2], [0x0f, 0x8f]);
    }
}
