//! Random operations on a store and on a simple model of it must agree.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{FutureExt as _, executor::block_on};
use kogge_store::{
    Change, Embedded, Entry, Event, Expect, HistoryError, Op, Options, Page, RangeQuery, Revision,
    Store, TxnError, Watch,
};
use proptest::{prelude::*, sample::Index};

/// Events that the stores under test keep: few, so that forgetting is tested too.
const KEPT: usize = 12;

type State = BTreeMap<String, Entry>;

/// Everything that ever was: each state by its revision, each event.
struct Model {
    states: Vec<State>,
    events: Vec<Event>,
    compacted: Revision,
}

#[derive(Clone, Debug)]
enum Step {
    Txn(Vec<Wish>),
    Compact(Index),
    /// A range as of some revision, or of the newest.
    Range {
        prefix: &'static str,
        at: Option<Index>,
        limit: usize,
        after: Option<u8>,
    },
    Watch {
        prefix: &'static str,
        after: Index,
    },
    /// Some watch is asked for its next event.
    Poll(Index),
}

#[derive(Clone, Debug)]
struct Wish {
    key: u8,
    /// 0 absent, 1 at its revision, 2 at a wrong one, else anything
    expect: u8,
    /// 0 and 1 delete, 2 nothing, else put
    change: u8,
}

fn wish() -> impl Strategy<Value = Wish> {
    (0_u8..6, 0_u8..6, 0_u8..9).prop_map(|(key, expect, change)| Wish { key, expect, change })
}

fn prefix() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "/", "/a/", "/b/", "/b/4", "/none/"])
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let range = (prefix(), prop::option::of(index()), 0_usize..4, prop::option::of(0_u8..6));
    prop_oneof![
        6 => prop::collection::vec(wish(), 0..4).prop_map(Step::Txn),
        1 => index().prop_map(Step::Compact),
        4 => range.prop_map(|(prefix, at, limit, after)| Step::Range { prefix, at, limit, after }),
        2 => (prefix(), index()).prop_map(|(prefix, after)| Step::Watch { prefix, after }),
        6 => index().prop_map(Step::Poll),
    ]
}

fn name(key: u8) -> String {
    format!("/{}/{key}", if key < 3 { "a" } else { "b" })
}

impl Model {
    fn new() -> Self {
        Self { states: vec![State::new()], events: Vec::new(), compacted: 0 }
    }

    fn now(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    fn revision(&self) -> Revision {
        self.states.len() as u64 - 1
    }

    /// Any revision, and one too many.
    fn pick(&self, index: Index) -> Revision {
        index.index(self.states.len() + 1) as u64
    }

    fn op(&self, wish: &Wish) -> Op {
        let key = name(wish.key);
        let at = self.now().get(&key).map_or(0, |it| it.modified);
        let expect = match wish.expect {
            0 => Expect::Absent,
            1 => Expect::At(at),
            2 => Expect::At(at + 1_000),
            _ => Expect::Anything,
        };
        let change = match wish.change {
            0 | 1 => Change::Delete,
            2 => Change::Nothing,
            n => Change::Put(Bytes::from(vec![n; usize::from(n)])),
        };
        Op { key: key.into(), expect, change }
    }

    /// The revision, or what was found in place of what was expected.
    fn txn(&mut self, ops: &[Op]) -> Result<Revision, Option<Entry>> {
        let (mut next, mut events) = (self.now().clone(), Vec::new());
        let revision = self.revision() + 1;
        for op in ops {
            let previous = next.get(&*op.key).cloned();
            let holds = match op.expect {
                Expect::Anything => true,
                Expect::Absent => previous.is_none(),
                Expect::At(at) => previous.as_ref().is_some_and(|it| it.modified == at),
            };
            if !holds {
                return Err(previous);
            }
            let value = match &op.change {
                Change::Put(value) => {
                    let created = previous.as_ref().map_or(revision, |it| it.created);
                    let (key, value) = (op.key.clone(), value.clone());
                    let entry = Entry { key, value: value.clone(), created, modified: revision };
                    next.insert(op.key.to_string(), entry);
                    Some(value)
                }
                Change::Delete if next.remove(&*op.key).is_some() => None,
                Change::Delete | Change::Nothing => continue,
            };
            events.push(Event { revision, key: op.key.clone(), value, previous });
        }
        if !events.is_empty() {
            self.states.push(next);
            self.events.extend(events);
            self.forget();
        }
        Ok(self.revision())
    }

    /// Whole revisions go, until no more than [`KEPT`] events are left.
    fn forget(&mut self) {
        let left = |after| self.events.iter().filter(|it| after < it.revision).count();
        let oldest = (self.compacted..=self.revision()).find(|after| left(*after) <= KEPT);
        self.compacted = oldest.expect("nothing is left after the newest");
    }

    fn check(&self, wanted: Revision) -> Result<(), HistoryError> {
        if wanted < self.compacted {
            return Err(HistoryError::Compacted { wanted, oldest: self.compacted });
        }
        let newest = self.revision();
        if newest < wanted { Err(HistoryError::Future { wanted, newest }) } else { Ok(()) }
    }

    fn range(&self, query: &RangeQuery) -> Result<Page, HistoryError> {
        let revision = query.at.unwrap_or(self.revision());
        self.check(revision)?;
        let state = &self.states[usize::try_from(revision).unwrap()];
        let wanted = |it: &&Entry| {
            it.key.starts_with(&query.prefix) && query.after.as_ref().is_none_or(|a| a < &it.key)
        };
        let all: Vec<Entry> = state.values().filter(wanted).cloned().collect();
        let limit = if query.limit == 0 { all.len() } else { query.limit.min(all.len()) };
        let entries = all[..limit].to_vec();
        Ok(Page { entries, revision, remaining: all.len() - limit })
    }
}

/// A watch beside what it has yet to say.
struct Watched {
    watch: Watch,
    prefix: &'static str,
    /// Events of the model before this one are said.
    next: usize,
    ended: bool,
}

impl Watched {
    #[track_caller]
    fn poll(&mut self, model: &Model) {
        let wanted = |it: &&Event| it.key.starts_with(self.prefix);
        let place = model.events[self.next..].iter().position(|it| wanted(&it));
        let expected = place.map(|it| &model.events[self.next + it]);
        match self.watch.next().now_or_never() {
            Some(Some(event)) => {
                assert!(!self.ended, "what has ended stays so");
                assert_eq!(Some(&event), expected);
                self.next += place.map_or(0, |it| it + 1);
            }
            Some(None) => {
                let missed = model.events.get(self.next).map(|it| it.revision);
                assert!(
                    missed.is_some_and(|it| it <= model.compacted),
                    "it ends only when what comes next is forgotten"
                );
                self.ended = true;
            }
            None => assert!(expected.is_none() && !self.ended, "{expected:?} is there"),
        }
    }
}

fn play(store: &Embedded, model: &mut Model, watches: &mut Vec<Watched>, step: &Step) {
    match step {
        Step::Txn(wishes) => {
            let ops: Vec<Op> = wishes.iter().map(|it| model.op(it)).collect();
            let want = model.txn(&ops);
            match block_on(store.txn(ops)) {
                Ok(revision) => assert_eq!(Ok(revision), want),
                Err(TxnError::Conflict { found, .. }) => assert_eq!(Err(found), want),
                Err(error) => panic!("{error}"),
            }
        }
        Step::Compact(index) => {
            let revision = model.pick(*index);
            block_on(store.compact(revision)).unwrap();
            model.compacted = model.compacted.max(revision.min(model.revision()));
        }
        Step::Range { prefix, at, limit, after } => {
            let query = RangeQuery {
                prefix: (*prefix).to_owned(),
                after: after.map(|it| name(it).into()),
                limit: *limit,
                at: at.map(|it| model.pick(it)),
            };
            match (store.range(&query), model.range(&query)) {
                (Ok(found), Ok(want)) => {
                    assert_eq!(found.entries, want.entries);
                    assert_eq!((found.revision, found.remaining), (want.revision, want.remaining));
                }
                (found, want) => assert_eq!(found.err(), want.err()),
            }
        }
        Step::Watch { prefix, after } => {
            let after = model.pick(*after);
            match store.watch(prefix, after) {
                Ok(watch) => {
                    assert_eq!(model.check(after), Ok(()));
                    let next = model.events.partition_point(|it| it.revision <= after);
                    watches.push(Watched { watch, prefix, next, ended: false });
                }
                Err(error) => assert_eq!(Err(error), model.check(after)),
            }
        }
        Step::Poll(index) if !watches.is_empty() => index.get_mut(watches).poll(model),
        Step::Poll(_) => {}
    }
}

#[track_caller]
fn check_all(store: &Embedded, model: &Model) {
    let all = store.range(&RangeQuery::default()).unwrap();
    assert_eq!(all.entries, model.now().values().cloned().collect::<Vec<_>>());
    assert_eq!((all.revision, store.revision()), (model.revision(), model.revision()));
    for key in (0..6).map(name) {
        assert_eq!(store.get(&key), model.now().get(&key).cloned());
    }
}

fn options() -> Options {
    Options { kept_events: KEPT, ..Options::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_store_in_memory_does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let (store, mut model) = (Embedded::in_memory_with(options()), Model::new());
        let mut watches = Vec::new();
        for step in &steps {
            play(&store, &mut model, &mut watches, step);
        }
        check_all(&store, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_store_on_disk_does_too_also_when_it_is_opened_again(
        steps in prop::collection::vec(step(), 1..60),
        closed in prop::collection::btree_set(0_usize..60, 0..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let open = || Embedded::open(dir.path(), options()).unwrap();
        let (mut store, mut model, mut watches) = (open(), Model::new(), Vec::new());
        let id = store.id();
        for (i, step) in steps.iter().enumerate() {
            play(&store, &mut model, &mut watches, step);
            if closed.contains(&i) {
                drop(store);
                store = open();
                watches.clear();
                // The past is not on disk.
                model.compacted = model.revision();
            }
        }
        check_all(&store, &model);
        prop_assert_eq!(store.id(), id);
    }

    #[test]
    fn pages_join_to_what_was_while_others_write(
        before in prop::collection::vec(wish(), 1..20),
        during in prop::collection::vec(wish(), 12),
        limit in 1_usize..3,
    ) {
        let (store, mut model) = (Embedded::in_memory(), Model::new());
        let write = |model: &mut Model, wish: &Wish| {
            let op = Op { expect: Expect::Anything, ..model.op(wish) };
            let _ = model.txn(std::slice::from_ref(&op));
            block_on(store.txn(vec![op])).unwrap()
        };
        let at = before.iter().map(|it| write(&mut model, it)).last();
        let want: BTreeSet<String> = model.now().keys().cloned().collect();
        let (mut after, mut found) = (None, BTreeSet::new());
        for wish in &during {
            let query = RangeQuery { prefix: "/".into(), after, limit, at };
            let page = store.range(&query).unwrap();
            for entry in &page.entries {
                prop_assert!(found.insert(entry.key.to_string()), "once only");
            }
            prop_assert_eq!(found.len() + page.remaining, want.len());
            if page.remaining == 0 {
                break;
            }
            after = page.entries.last().map(|it| it.key.clone());
            write(&mut model, wish);
        }
        prop_assert_eq!(found, want);
    }
}

#[test]
fn a_watch_of_what_rarely_changes_outlives_much_else() {
    let store = Embedded::in_memory_with(options());
    let put = |key: &str| {
        let change = Change::Put(Bytes::from_static(b"x"));
        let op = Op { key: key.into(), expect: Expect::Anything, change };
        block_on(store.txn(vec![op])).unwrap()
    };
    let mut quiet = store.watch("/quiet/", 0).unwrap();
    let mut slow = store.watch("/busy/", 0).unwrap();
    assert!(quiet.next().now_or_never().is_none());
    for _ in 0..100 {
        put("/busy/x");
    }
    put("/quiet/x");
    assert_eq!(quiet.next().now_or_never().flatten().expect("still there").revision, 101);
    assert!(slow.next().now_or_never().expect("an answer").is_none(), "it is told to start over");
}
