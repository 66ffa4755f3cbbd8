//! Random operations on a store and on a simple model of it must agree.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::executor::block_on;
use kogge_store::{
    Change, Embedded, Expect, HistoryError, Op, Options, RangeQuery, Store, TxnError,
};
use proptest::prelude::*;

/// Every state there ever was, by revision.
#[derive(Default)]
struct Model {
    states: Vec<BTreeMap<String, (Vec<u8>, u64)>>,
}

#[derive(Clone, Debug)]
struct Wish {
    key: u8,
    /// 0 anything, 1 absent, 2 at its revision, 3 at a wrong one
    expect: u8,
    /// 0 delete, 1 nothing, else put
    change: u8,
}

fn wishes() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    let wish =
        (0_u8..6, 0_u8..4, 0_u8..8).prop_map(|(key, expect, change)| Wish { key, expect, change });
    prop::collection::vec(prop::collection::vec(wish, 1..4), 1..60)
}

impl Model {
    fn now(&self) -> BTreeMap<String, (Vec<u8>, u64)> {
        self.states.last().cloned().unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        self.states.len() as u64
    }

    fn op(&self, wish: &Wish) -> Op {
        let key = name(wish.key);
        let at = self.now().get(&key).map_or(0, |it| it.1);
        Op {
            key: key.into(),
            expect: match wish.expect {
                0 => Expect::Anything,
                1 => Expect::Absent,
                2 => Expect::At(at),
                _ => Expect::At(at + 1_000),
            },
            change: match wish.change {
                0 => Change::Delete,
                1 => Change::Nothing,
                n => Change::Put(Bytes::from(vec![n; 3])),
            },
        }
    }

    /// True if it went through.
    fn play(&mut self, ops: &[Op]) -> bool {
        let mut next = self.now();
        let (revision, before) = (self.revision() + 1, next.clone());
        let mut changed = false;
        for op in ops {
            let found = next.get(&*op.key);
            let holds = match op.expect {
                Expect::Anything => true,
                Expect::Absent => found.is_none(),
                Expect::At(at) => found.is_some_and(|it| it.1 == at),
            };
            if !holds {
                return false;
            }
            match &op.change {
                Change::Put(value) => {
                    next.insert(op.key.to_string(), (value.to_vec(), revision));
                    changed = true;
                }
                Change::Delete => changed |= next.remove(&*op.key).is_some(),
                Change::Nothing => {}
            }
        }
        assert!(changed || next == before);
        if changed {
            self.states.push(next);
        }
        true
    }
}

fn name(key: u8) -> String {
    format!("/{}/{key}", if key < 3 { "a" } else { "b" })
}

/// Plays all wishes on both; what the store answers must be what the model says.
fn play(store: &Embedded, wishes: &[Vec<Wish>]) -> Model {
    let mut model = Model::default();
    for wish in wishes {
        let ops: Vec<Op> = wish.iter().map(|it| model.op(it)).collect();
        let went_through = model.play(&ops);
        match block_on(store.txn(ops)) {
            Ok(revision) => {
                assert!(went_through);
                assert_eq!(revision, model.revision());
            }
            Err(TxnError::Conflict { .. }) => assert!(!went_through),
            Err(error) => panic!("{error}"),
        }
    }
    model
}

fn check_now(store: &Embedded, model: &Model) {
    let page =
        store.range(&RangeQuery { prefix: "/".into(), ..RangeQuery::default() }).expect("range");
    let found: BTreeMap<String, (Vec<u8>, u64)> = page
        .entries
        .into_iter()
        .map(|it| (it.key.to_string(), (it.value.to_vec(), it.modified)))
        .collect();
    assert_eq!(found, model.now());
    assert_eq!(page.revision, model.revision());
}

proptest! {
    #[test]
    fn every_revision_reads_as_it_was(wishes in wishes(), compact in 0_u64..40) {
        let store = Embedded::in_memory();
        let model = play(&store, &wishes);
        check_now(&store, &model);
        let compact = compact.min(model.revision());
        block_on(store.compact(compact)).expect("compacted");
        for at in 0..=model.revision() {
            let query = RangeQuery { prefix: "/a/".into(), at: Some(at), ..RangeQuery::default() };
            match store.range(&query) {
                Ok(page) => {
                    prop_assert!(compact <= at);
                    let then = at.checked_sub(1).map(|it| model.states[usize::try_from(it).expect("small")].clone());
                    let want: Vec<(String, u64)> = then.unwrap_or_default().into_iter()
                        .filter(|(key, _)| key.starts_with("/a/"))
                        .map(|(key, (_, revision))| (key, revision)).collect();
                    let found: Vec<(String, u64)> =
                        page.entries.iter().map(|it| (it.key.to_string(), it.modified)).collect();
                    prop_assert_eq!(found, want);
                }
                Err(HistoryError::Compacted { .. }) => prop_assert!(at < compact),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_watch_from_any_revision_replays_to_the_present(wishes in wishes(), from in 0_u64..40) {
        let store = Embedded::in_memory();
        let model = play(&store, &wishes);
        let from = from.min(model.revision());
        let mut state = from.checked_sub(1)
            .map(|it| model.states[usize::try_from(it).expect("small")].clone()).unwrap_or_default();
        let mut watch = store.watch("/b/", from).expect("nothing is compacted");
        drop(store);
        let mut last = from;
        while let Some(event) = block_on(watch.next()) {
            prop_assert!(last <= event.revision && event.key.starts_with("/b/"));
            last = event.revision;
            let previous = event.previous.map(|it| (it.value.to_vec(), it.modified));
            prop_assert_eq!(state.get(&*event.key).cloned(), previous);
            match event.value {
                Some(value) => state.insert(event.key.to_string(), (value.to_vec(), event.revision)),
                None => state.remove(&*event.key),
            };
        }
        let want: Vec<_> = model.now().into_iter().filter(|(key, _)| key.starts_with("/b/")).collect();
        let found: Vec<_> = state.into_iter().filter(|(key, _)| key.starts_with("/b/")).collect();
        prop_assert_eq!(found, want);
    }

    #[test]
    fn pages_join_to_the_whole(wishes in wishes(), limit in 1_usize..4) {
        let store = Embedded::in_memory();
        let model = play(&store, &wishes);
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let query = RangeQuery { prefix: "/".into(), after, limit, at: Some(model.revision()) };
            let page = store.range(&query).expect("range");
            found.extend(page.entries.iter().map(|it| it.key.to_string()));
            if page.remaining == 0 {
                break;
            }
            after = page.entries.last().map(|it| it.key.clone());
        }
        prop_assert_eq!(found, model.now().into_keys().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_was_written_is_there_after_opening_again(wishes in wishes()) {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = Embedded::open(dir.path(), Options::default()).expect("opened");
        let (id, model) = (store.id(), play(&store, &wishes));
        drop(store);
        let store = Embedded::open(dir.path(), Options::default()).expect("opened again");
        check_now(&store, &model);
        prop_assert_eq!(store.id(), id);
    }
}

#[test]
fn a_watch_of_what_rarely_changes_outlives_much_else() {
    let options = Options { kept_events: 10, ..Options::default() };
    let store = Embedded::in_memory_with(options);
    let put = |key: &str| {
        let change = Change::Put(Bytes::from_static(b"x"));
        let op = Op { key: key.into(), expect: Expect::Anything, change };
        block_on(store.txn(vec![op])).expect("written")
    };
    let mut quiet = store.watch("/quiet/", 0).expect("watch");
    let mut slow = store.watch("/busy/", 0).expect("watch");
    assert!(futures::FutureExt::now_or_never(quiet.next()).is_none());
    for _ in 0..100 {
        put("/busy/x");
    }
    put("/quiet/x");
    assert_eq!(block_on(quiet.next()).expect("still there").revision, 101);
    assert!(block_on(slow.next()).is_none(), "it is told to start over");
}
