use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

use kogge_member::ObjectKey;
use serde_json::json;

use super::*;
use crate::link::{Mode, Work};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", "Secret", "shop", name)
}

fn put(name: &str, text: &str) -> Desired {
    Desired::Put(Arc::new(Work {
        key: key(name),
        api_version: "v1".into(),
        manifest: text.to_owned().into(),
        hash: text.into(),
        mode: Mode::Abort,
    }))
}

fn begin() -> Desired {
    Desired::Begin { hub: "one".into() }
}

fn autoscalers() -> Desired {
    Desired::Autoscalers(BTreeMap::from([("a".to_owned(), json!({"minPods": 1}))]))
}

fn set(said: &[Desired]) -> Set {
    let mut set = Set::new("one");
    for desired in said {
        set.note(desired);
    }
    set
}

#[test]
fn a_set_that_was_never_whole_is_neither_kept_nor_given() {
    let set = set(&[begin(), put("a", "1"), autoscalers()]);
    assert!(set.said().is_empty() && set.kept().is_none());
}

#[test]
fn half_a_pass_rolls_nothing_back_and_drops_nothing() {
    let all = [begin(), put("a", "1"), put("b", "1"), autoscalers(), Desired::Complete];
    let mut set = set(&all);
    assert_eq!(set.said(), all);
    set.note(&begin());
    let before = set.changes();
    set.note(&put("a", "2"));
    assert_eq!(set.changes(), before + 1);
    set.note(&put("a", "2"));
    assert_eq!(set.changes(), before + 1);
    let newer = [begin(), put("a", "2"), put("b", "1"), autoscalers(), Desired::Complete];
    assert_eq!(set.said(), newer);
    set.note(&Desired::Complete);
    assert_eq!(set.said(), [begin(), put("a", "2"), autoscalers(), Desired::Complete]);
}

#[test]
fn what_is_kept_cannot_be_read_without_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let set = set(&[begin(), put("a", "hunter2"), autoscalers(), Desired::Complete]);
    let file = File::open(dir.path()).unwrap();
    assert!(file.read().unwrap().is_none());
    file.write(&set.kept().unwrap()).unwrap();
    let read = File::open(dir.path()).unwrap().read().unwrap().map(|it| it.said());
    assert_eq!(read, Some(set.said()));
    let bytes = std::fs::read(dir.path().join("kept")).unwrap();
    assert!(!bytes.windows(7).any(|it| it == b"hunter2"), "it can be read");
    for name in ["kept", "kept.key"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::write(dir.path().join("kept.key"), [7; 32]).unwrap();
    let error = File::open(dir.path()).unwrap().read().unwrap_err();
    assert!(error.to_string().ends_with("cannot be decrypted with the key beside it"), "{error}");
}

/// Says what it was given, each time it is asked, and ends; the last time it has no more to say.
struct Scripted(Mutex<Vec<Vec<Desired>>>);

impl HubLink for Scripted {
    fn desired(&self) -> BoxStream<'static, Desired> {
        let mut left = self.0.lock().unwrap();
        if left.is_empty() {
            return stream::pending().boxed();
        }
        // One at a time, as they come over a wire.
        let said = stream::iter(left.remove(0)).then(|it| async {
            tokio::task::yield_now().await;
            it
        });
        if left.is_empty() { said.chain(stream::pending()).boxed() } else { said.boxed() }
    }

    fn report(&self, _: Report) {}
}

async fn heard(dir: &Path, hub: &str, script: Vec<Vec<Desired>>, count: usize) -> Vec<Desired> {
    let kept = Kept::open(Arc::new(Scripted(Mutex::new(script))), dir, hub).unwrap();
    kept.desired().take(count).collect().await
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_without_its_hub_hears_what_was_wanted_last() {
    let dir = tempfile::tempdir().unwrap();
    let all = vec![begin(), put("a", "1"), autoscalers(), Desired::Complete];
    let first = heard(dir.path(), "one", vec![all.clone()], 4).await;
    assert_eq!(first, all);
    // The hub is away, then another one has its address, then it is back.
    let other = vec![Desired::Begin { hub: "two".into() }, put("z", "1"), Desired::Complete];
    let now = vec![begin(), put("b", "1"), Desired::Complete];
    let script = vec![Vec::new(), other, now.clone()];
    let second = heard(dir.path(), "one", script, 7).await;
    assert_eq!(second, [all.clone(), now].concat());
    // What one hub wanted is nothing to who obeys another.
    let third = vec![Desired::Begin { hub: "two".into() }, Desired::Complete];
    assert_eq!(heard(dir.path(), "two", vec![Vec::new(), third.clone()], 2).await, third);
}

#[tokio::test]
async fn what_the_agent_hears_is_on_disk_already() {
    let dir = tempfile::tempdir().unwrap();
    let whole = [begin(), put("a", "1"), Desired::Complete];
    let changes = [put("b", "1"), Desired::Remove { key: key("a"), asked: true }, put("b", "2")];
    let script = [&whole[..], &changes].concat();
    let kept = Scripted(Mutex::new(vec![script.clone()]));
    let kept = Kept::open(Arc::new(kept), dir.path(), "one").unwrap();
    let mut desired = kept.desired();
    for heard in 0..script.len() {
        assert_eq!(desired.next().await.as_ref(), Some(&script[heard]));
        if heard < whole.len() - 1 {
            continue;
        }
        let on_disk = File::open(dir.path()).unwrap().read().unwrap().expect("a set");
        // The hub may have said more meanwhile.
        let mut as_of = (heard..script.len()).map(|last| set(&script[..=last]).said());
        assert!(as_of.any(|it| it == on_disk.said()), "after {heard}: {on_disk:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_no_older_set_stands_in_and_it_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let read = || File::open(dir.path()).unwrap().read().unwrap().map(|it| it.said());
    let all = vec![begin(), put("a", "1"), Desired::Complete];
    heard(dir.path(), "one", vec![all.clone()], 3).await;
    assert!(read().is_some());
    // A directory is where the new file would be written.
    std::fs::create_dir(dir.path().join("kept.part")).unwrap();
    let newer = vec![begin(), put("a", "2"), Desired::Complete];
    let script = Scripted(Mutex::new(vec![newer.clone()]));
    let kept = Kept::open(Arc::new(script), dir.path(), "one").unwrap();
    let mut desired = kept.desired();
    for it in &newer {
        assert_eq!(desired.next().await.as_ref(), Some(it));
    }
    assert!(read().is_none());
    std::fs::remove_dir(dir.path().join("kept.part")).unwrap();
    assert!(timeout(RETRY * 3, desired.next()).await.is_err(), "the hub says nothing more");
    assert_eq!(read(), Some(set(&newer).said()));
}

#[tokio::test]
async fn what_a_stream_was_not_let_write_is_written_before_the_next_passes_anything_on() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new("one", Set::new("one"), File::open(dir.path()).unwrap());
    *shelf.set() = set(&[begin(), put("a", "1"), Desired::Complete]);
    let shelf = Arc::new(shelf);
    assert!(shelf.is_behind());
    // The same as before, so that nothing in it is new.
    shelf.keep(&[put("a", "1")]).await;
    assert!(!shelf.is_behind());
    let on_disk = File::open(dir.path()).unwrap().read().unwrap().unwrap();
    assert_eq!(on_disk.said(), shelf.set().said());
}
