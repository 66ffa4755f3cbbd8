//! The state, told of things in an order that matters.

use futures::{StreamExt as _, stream::BoxStream};
use kogge_member::Client;
use serde_json::json;

use super::*;
use crate::inventory::Inventory;

struct Silent;

impl HubLink for Silent {
    fn desired(&self) -> BoxStream<'static, Desired> {
        futures::stream::pending().boxed()
    }

    fn report(&self, _: Report) {}
}

pub(super) fn state(client: Client, awaited: BTreeSet<GroupKind>) -> State {
    let inventory = Arc::new(Inventory::new(client.clone()));
    let (watches, _) = Watches::new(client, inventory);
    let now = || Timestamp::UNIX_EPOCH;
    State::new(Arc::new(Silent), now, watches, awaited, watch::Sender::new(None))
}

/// A client that is never asked.
pub(super) fn client() -> Client {
    kogge_member::from_service(tower::service_fn(async |_| {
        Err::<http::Response<http_body_util::Empty<bytes::Bytes>>, _>(std::io::Error::other("x"))
    }))
}

fn kind(name: &str) -> GroupKind {
    (String::new(), name.to_owned())
}

fn owned(version: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "a", "namespace": "n", "uid": "u", "resourceVersion": version.to_string(),
        "labels": {"kogge.dev/managed": "true"}}})
}

#[tokio::test]
async fn a_list_that_is_older_than_what_was_seen_is_another_history() {
    let mut state = state(client(), BTreeSet::new());
    state.reset(&kind("ConfigMap"), &[], 10);
    state.reset(&kind("ConfigMap"), &[], 10);
    state.applied(&owned(12));
    assert!(!state.is_rewound());
    state.reset(&kind("Secret"), &[], 3);
    assert!(!state.is_rewound(), "each kind has its own versions");
    state.reset(&kind("ConfigMap"), &[], 11);
    assert!(state.is_rewound());
}

#[tokio::test]
async fn nothing_is_deleted_before_every_kind_is_listed() {
    let awaited = BTreeSet::from([kind("ConfigMap"), kind("Secret")]);
    let mut state = state(client(), awaited);
    state.want(Desired::Complete);
    state.reset(&kind("ConfigMap"), &[owned(5)], 6);
    assert!(state.next_step(Instant::now()).is_none());
    state.reset(&kind("Secret"), &[], 6);
    assert!(matches!(state.next_step(Instant::now()), Some(Step::Delete { .. })));
}

fn wanted() -> Arc<Work> {
    Arc::new(Work {
        key: ObjectKey::of(&owned(0)),
        api_version: "v1".into(),
        manifest: bytes::Bytes::new(),
        hash: "h".into(),
        mode: Mode::Abort,
    })
}

#[tokio::test]
async fn an_answer_that_comes_after_the_news_of_the_end_is_old() {
    let mut state = state(client(), BTreeSet::new());
    state.reset(&kind("ConfigMap"), &[], 1);
    state.want(Desired::Put(wanted()));
    assert!(matches!(state.next_step(Instant::now()), Some(Step::Apply { .. })));
    state.applied(&owned(5));
    state.deleted(&owned(6));
    let meta = Meta::of(&owned(5));
    state.finish(&wanted().key, Done::Applied { hash: "h".into(), meta });
    assert!(matches!(state.next_step(Instant::now()), Some(Step::Apply { .. })), "put back");
}

#[tokio::test]
async fn what_the_member_has_agreed_to_delete_is_not_asked_for_again() {
    let mut state = state(client(), BTreeSet::new());
    state.want(Desired::Complete);
    state.reset(&kind("ConfigMap"), &[owned(5)], 6);
    assert!(matches!(state.next_step(Instant::now()), Some(Step::Delete { .. })));
    state.finish(&wanted().key, Done::Deleted { uid: "u".into() });
    assert!(state.next_step(Instant::now()).is_none());
    // It has a finalizer, and then it is made anew.
    let mut again = owned(8);
    again["metadata"]["uid"] = "v".into();
    state.applied(&again);
    assert!(matches!(state.next_step(Instant::now()), Some(Step::Delete { .. })));
}

#[tokio::test]
async fn many_deletions_are_weighed_as_they_are_at_each() {
    let mut state = state(client(), BTreeSet::new());
    let named = |n: usize| {
        let mut object = owned(5);
        object["metadata"]["name"] = format!("a{n}").into();
        object
    };
    let all: Vec<Value> = (0..30).map(named).collect();
    state.want(Desired::Complete);
    state.reset(&kind("ConfigMap"), &all, 6);
    assert!(state.next_step(Instant::now()).is_none(), "held");
    assert_eq!(state.tally.unasked_of_owned(), (30, 30));
    for (n, object) in all.iter().enumerate() {
        assert_eq!(state.guard.is_holding(), n < 20, "after {n}");
        state.deleted(object);
    }
    assert_eq!(state.tally.unasked_of_owned(), (0, 0));
}

struct Hears(std::sync::Mutex<Vec<String>>);

impl HubLink for Hears {
    fn desired(&self) -> BoxStream<'static, Desired> {
        futures::stream::pending().boxed()
    }

    fn report(&self, report: Report) {
        if let Report::Drift(drift) = report {
            let told = format!("{}: {}", drift.key, drift.what);
            self.0.lock().expect("nobody panics with it").push(told);
        }
    }
}

#[tokio::test]
async fn a_namespace_that_is_deleted_is_told_once_with_what_was_in_it() {
    let mut state = state(client(), BTreeSet::new());
    let hears = Arc::new(Hears(std::sync::Mutex::default()));
    state.link = hears.clone();
    let object = |kind: &str, name: &str, version: u64| {
        let mut it = owned(version);
        it["kind"] = kind.into();
        it["metadata"]["name"] = name.into();
        it["metadata"]["managedFields"] =
            json!([{"manager": crate::FIELD_MANAGER, "operation": "Apply", "fieldsV1": {}}]);
        if kind == "Namespace" {
            it["metadata"]["namespace"] = "".into();
        }
        it
    };
    let all =
        [object("Namespace", "n", 1), object("ConfigMap", "a", 2), object("ConfigMap", "b", 3)];
    for it in &all {
        let work = Work { key: ObjectKey::of(it), ..(*wanted()).clone() };
        state.reset(&kind(it["kind"].as_str().unwrap_or_default()), &[], 0);
        state.want(Desired::Put(Arc::new(work)));
        assert!(matches!(state.next_step(Instant::now()), Some(Step::Apply { .. })));
        let done = Done::Applied { hash: "h".into(), meta: Meta::of(it) };
        state.finish(&ObjectKey::of(it), done);
    }
    // One alone is told of itself.
    state.deleted(&object("ConfigMap", "b", 4));
    let mut going = object("Namespace", "n", 5);
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    state.applied(&going);
    state.deleted(&object("ConfigMap", "a", 6));
    going["metadata"]["resourceVersion"] = "7".into();
    state.deleted(&going);
    let told = hears.0.lock().expect("nobody panics with it").clone();
    assert_eq!(
        told,
        [
            "configmap/b -n n: deleted at 1970-01-01T00:00:00Z",
            "namespace/n: deleted at 1970-01-01T00:00:00Z, with 2 objects in it",
        ]
    );
}
