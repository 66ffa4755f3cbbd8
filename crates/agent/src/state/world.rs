//! Both ends of an agent and what is under way between them: a hub that changes its mind, a member
//! where others change and delete things, news that come late, and effects that fail.

use std::collections::VecDeque;

use kogge_sync::prune::too_many;
use proptest::sample::Index;
use serde_json::json;

use super::{
    tests::{client, state},
    *,
};
use crate::{FIELD_MANAGER, MANAGED_LABEL};

pub(super) const KINDS: [&str; 2] = ["ConfigMap", "Secret"];
/// Of each kind: more than the guard lets go at once, together.
pub(super) const NAMES: usize = 9;

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// The hub's word on an object; `None` takes it back.
    Want(Index, Option<u8>, bool),
    /// The hub's stream starts over, without some of what it wanted.
    Reconnect(u32),
    /// Somebody else makes, changes or deletes an object.
    Others(Index, Meddling),
    HubSays,
    MemberSays(Index),
    /// The watch of a kind breaks and starts over.
    List(Index),
    Step {
        fails: bool,
    },
    Answer(Index),
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Meddling {
    Make,
    Change,
    Delete,
}

/// An object on the member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Object {
    uid: u64,
    version: u64,
    content: u8,
    owned: bool,
    /// Somebody else has taken a field.
    taken: bool,
}

enum News {
    Applied(Value),
    Deleted(Value),
    List(Vec<Value>, u64),
}

pub(super) struct World {
    state: State,
    wanted: BTreeMap<ObjectKey, u8>,
    sent: VecDeque<Desired>,
    /// What the agent has been told to want, and what of a pass it has heard.
    told: BTreeSet<ObjectKey>,
    pass: Option<BTreeSet<ObjectKey>>,
    has_whole_set: bool,
    member: BTreeMap<ObjectKey, Object>,
    version: u64,
    news: BTreeMap<&'static str, VecDeque<News>>,
    listed: BTreeSet<&'static str>,
    running: Vec<(ObjectKey, Done)>,
}

fn key(of: Index) -> ObjectKey {
    // Half of what happens, happens to three objects: races need the same one several times.
    let all = KINDS.len() * NAMES;
    let n = of.index(2 * all);
    let n = if n < all { n } else { n % 3 };
    ObjectKey::new("", KINDS[n % KINDS.len()], "n", &format!("o{}", n / KINDS.len()))
}

fn kind(of: Index) -> &'static str {
    KINDS[of.index(KINDS.len())]
}

fn kind_of(key: &ObjectKey) -> &'static str {
    KINDS.into_iter().find(|it| *it == key.kind).unwrap_or(KINDS[0])
}

fn shown(key: &ObjectKey, it: &Object) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": key.kind, "metadata": {
        "name": key.name, "namespace": key.namespace, "uid": it.uid.to_string(),
        "resourceVersion": it.version.to_string()}});
    if it.owned {
        let data = if it.taken { json!({}) } else { json!({ it.content.to_string(): {} }) };
        object["metadata"]["labels"] = json!({MANAGED_LABEL: "true"});
        object["metadata"]["managedFields"] = json!([{
            "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:data": data}}]);
    }
    object
}

fn work(key: &ObjectKey, content: u8) -> Arc<Work> {
    Arc::new(Work {
        key: key.clone(),
        api_version: "v1".into(),
        manifest: bytes::Bytes::new(),
        hash: content.to_string(),
        mode: Mode::Abort,
    })
}

impl World {
    /// A member with so many objects of an agent before.
    pub fn new(before: usize) -> Self {
        let awaited = KINDS.iter().map(|it| (String::new(), (*it).to_owned())).collect();
        let mut world = Self {
            state: state(client(), awaited),
            wanted: BTreeMap::new(),
            sent: VecDeque::from([Desired::Begin { hub: "h".into() }, Desired::Complete]),
            told: BTreeSet::new(),
            pass: None,
            has_whole_set: false,
            member: BTreeMap::new(),
            version: 1,
            news: BTreeMap::new(),
            listed: BTreeSet::new(),
            running: Vec::new(),
        };
        for n in 0..before {
            let key = ObjectKey::new("", KINDS[n % 2], "n", &format!("o{}", n / 2));
            world.put(&key, Object { uid: 0, version: 0, content: 0, owned: true, taken: false });
        }
        world.news.clear();
        world
    }

    fn put(&mut self, key: &ObjectKey, object: Object) -> Value {
        self.version += 1;
        let uid = self.member.get(key).map_or(self.version, |it| it.uid);
        let object = Object { uid, version: self.version, ..object };
        let shown = shown(key, &object);
        self.member.insert(key.clone(), object);
        self.tell(kind_of(key), News::Applied(shown.clone()));
        shown
    }

    fn take(&mut self, key: &ObjectKey) {
        let Some(object) = self.member.remove(key) else { return };
        self.version += 1;
        let last = shown(key, &Object { version: self.version, ..object });
        self.tell(kind_of(key), News::Deleted(last));
    }

    fn tell(&mut self, kind: &'static str, news: News) {
        self.news.entry(kind).or_default().push_back(news);
    }

    /// What a new watch starts with takes the place of what the old one had not told.
    fn list(&mut self, kind: &'static str) {
        let of_kind = self.member.iter().filter(|(key, _)| key.kind == kind);
        let items = of_kind.map(|(key, it)| shown(key, it)).collect();
        self.news.insert(kind, VecDeque::from([News::List(items, self.version)]));
        self.listed.insert(kind);
    }

    pub async fn go(&mut self, op: Op) {
        match op {
            Op::Want(of, Some(content), _) => {
                self.wanted.insert(key(of), content);
                self.sent.push_back(Desired::Put(work(&key(of), content)));
            }
            Op::Want(of, None, asked) => {
                if self.wanted.remove(&key(of)).is_some() {
                    self.sent.push_back(Desired::Remove { key: key(of), asked });
                }
            }
            Op::Reconnect(without) => {
                let mut place = 0;
                self.wanted.retain(|_, _| {
                    place += 1;
                    without >> place & 1 == 0
                });
                self.sent.clear();
                self.sent.push_back(Desired::Begin { hub: "h".into() });
                self.sent.extend(self.wanted.iter().map(|it| Desired::Put(work(it.0, *it.1))));
                self.sent.push_back(Desired::Complete);
            }
            Op::Others(of, how) => self.meddle(&key(of), how),
            Op::HubSays => self.hub_says(),
            Op::MemberSays(of) => self.member_says(kind(of)),
            Op::List(of) => self.list(kind(of)),
            Op::Step { fails } => drop(self.step(fails)),
            Op::Answer(of) => {
                if !self.running.is_empty() {
                    self.answer(of.index(self.running.len()));
                }
            }
            Op::Wait(millis) => self.wait(Duration::from_millis(millis)).await,
        }
        assert_eq!(self.state.tally.unasked_of_owned(), self.counted_one_by_one());
    }

    fn meddle(&mut self, key: &ObjectKey, how: Meddling) {
        let there = self.member.get(key).copied();
        match (how, there) {
            (Meddling::Make, None) => {
                let theirs = Object { uid: 0, version: 0, content: 9, owned: false, taken: false };
                self.put(key, theirs);
            }
            (Meddling::Change, Some(object)) if object.owned => {
                self.put(key, Object { content: 9, taken: true, ..object });
            }
            (Meddling::Delete, Some(_)) => self.take(key),
            _ => {}
        }
    }

    fn hub_says(&mut self) {
        let Some(desired) = self.sent.pop_front() else { return };
        match &desired {
            Desired::Begin { .. } => self.pass = Some(BTreeSet::new()),
            Desired::Put(work) => {
                self.told.insert(work.key.clone());
                self.pass.iter_mut().for_each(|it| it.extend([work.key.clone()]));
            }
            Desired::Remove { key, .. } => {
                self.told.remove(key);
                self.pass.iter_mut().for_each(|it| it.retain(|it| it != key));
            }
            Desired::Complete => {
                self.has_whole_set = true;
                self.told = self.pass.take().unwrap_or_else(|| self.told.clone());
            }
            Desired::Autoscalers(_) | Desired::DeletionsApproved => {}
        }
        self.state.want(desired);
    }

    fn member_says(&mut self, kind: &'static str) {
        // Nothing is heard of a kind before its list.
        let news = self.news.entry(kind).or_default();
        if !self.listed.contains(kind) {
            news.clear();
            return;
        }
        match news.pop_front() {
            Some(News::Applied(object)) => self.state.applied(&object),
            Some(News::Deleted(object)) => self.state.deleted(&object),
            Some(News::List(items, at)) => {
                self.state.reset(&(String::new(), kind.to_owned()), &items, at);
            }
            None => {}
        }
    }

    /// Takes the next step there is, and holds it against what may never be done.
    fn step(&mut self, fails: bool) -> bool {
        let (unasked, owned) = self.counted_one_by_one();
        let was_approved = self.state.guard.is_engaged() && !self.state.guard.is_holding();
        let Some(step) = self.state.next_step(Instant::now()) else { return false };
        let failed = |hash: &str| {
            let (hash, message) = (hash.to_owned(), "x".to_owned());
            Done::Failed { hash, message, fault: Trouble::Other }
        };
        let (key, done) = match step {
            Step::Apply { work, .. } if fails => (work.key.clone(), failed(&work.hash)),
            Step::Apply { work, .. } => (work.key.clone(), self.apply(&work)),
            Step::Delete { key, meta } => {
                assert!(meta.owned, "{key} is not kogge's");
                assert!(self.has_whole_set && self.listed.len() == KINDS.len(), "too soon: {key}");
                assert!(!self.told.contains(&key), "{key} is wanted");
                let asked = self.state.objects.get(&key).is_some_and(|it| it.removal_asked);
                assert!(asked || was_approved || !too_many(unasked, owned), "nobody agreed");
                let done = if fails { failed("") } else { self.delete(&key, &meta) };
                (key, done)
            }
        };
        assert!(self.running.iter().all(|it| it.0 != key), "two effects at once on {key}");
        self.running.push((key, done));
        true
    }

    fn apply(&mut self, work: &Work) -> Done {
        let hash = work.hash.clone();
        if self.member.get(&work.key).is_some_and(|it| !it.owned) {
            return Done::Conflict { hash, message: "somebody else's".into() };
        }
        let content = hash.parse().unwrap_or(0);
        // As on a real member: what changes nothing is no write.
        let there = self.member.get(&work.key).filter(|it| it.content == content && !it.taken);
        let shown = if let Some(there) = there {
            shown(&work.key, there)
        } else {
            let object = Object { uid: 0, version: 0, content, owned: true, taken: false };
            self.put(&work.key, object)
        };
        Done::Applied { hash, meta: Meta::of(&shown) }
    }

    fn delete(&mut self, key: &ObjectKey, meta: &Meta) -> Done {
        match self.member.get(key) {
            Some(there) if there.uid.to_string() != meta.uid => {
                let message = "another uid".to_owned();
                return Done::Failed { hash: String::new(), message, fault: Trouble::Other };
            }
            _ => self.take(key),
        }
        Done::Deleted { uid: meta.uid.clone() }
    }

    fn answer(&mut self, place: usize) {
        let (key, done) = self.running.swap_remove(place);
        self.state.finish(&key, done);
    }

    async fn wait(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        self.state.retry(Instant::now());
    }

    fn counted_one_by_one(&self) -> (usize, usize) {
        let owned = |it: &&Tracked| matches!(&it.live, Live::Present(meta) if meta.owned);
        let unasked = |it: &&Tracked| it.desired.is_none() && !it.removal_asked;
        let all = || self.state.objects.values().filter(owned);
        (all().filter(unasked).count(), all().count())
    }

    /// Lets everything that is under way arrive, and time pass, until nothing happens any more.
    pub async fn settle(&mut self) {
        for kind in KINDS {
            if !self.listed.contains(kind) {
                self.list(kind);
            }
        }
        for _ in 0..20 {
            while !self.sent.is_empty() {
                self.hub_says();
            }
            for kind in KINDS {
                while self.news.get(kind).is_some_and(|it| !it.is_empty()) {
                    self.member_says(kind);
                }
            }
            let mut steps = 0;
            while self.step(false) || !self.running.is_empty() {
                steps += 1;
                assert!(steps < 1_000, "an effect is done again and again");
                if !self.running.is_empty() {
                    self.answer(0);
                }
            }
            // A person agrees to whatever waits.
            self.state.want(Desired::DeletionsApproved);
            self.wait(Duration::from_secs(61)).await;
        }
    }

    /// The member is what the hub wants, but for what others have.
    pub fn check_settled(&self) {
        for (key, content) in &self.wanted {
            match self.member.get(key) {
                Some(it) if it.owned => {
                    assert_eq!((it.content, it.taken), (*content, false), "{key} is not put back");
                }
                Some(_) => {}
                None => panic!("{key} is not there"),
            }
        }
        for (key, it) in &self.member {
            assert!(!it.owned || self.wanted.contains_key(key), "{key} is left behind");
        }
        assert_eq!(self.state.tally.unasked_of_owned(), self.counted_one_by_one());
        assert_eq!(self.state.tally.unasked_of_owned().0, 0);
    }

    pub fn theirs(&self) -> BTreeMap<ObjectKey, Object> {
        let all = self.member.iter().filter(|(_, it)| !it.owned);
        all.map(|(key, it)| (key.clone(), *it)).collect()
    }
}
