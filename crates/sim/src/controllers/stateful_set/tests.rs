use std::collections::BTreeMap;

use kogge_member::object;
use serde_json::{Value, json};

use super::{
    pod,
    step::{Change, Seen, Situation, decide},
};
use crate::controllers::{
    Effect,
    kind::{Key, Kind},
    world::World,
};

const NAMES: [&str; 5] = ["db-0", "db-1", "db-2", "db-3", "db-4"];

fn up(number: usize, updated: bool) -> Seen<'static> {
    Seen {
        name: NAMES[number],
        updated,
        healthy: true,
        available: true,
        going: false,
        finished: false,
    }
}

fn of(wanted: i64, pods: Vec<(i64, Seen<'static>)>) -> Situation<'static> {
    Situation {
        wanted: (0..wanted).collect(),
        pods: BTreeMap::from_iter(pods),
        ordered: true,
        partition: 0,
        rolling: true,
    }
}

fn make(number: i64) -> Change {
    Change::Make { number, old: false }
}

fn delete(number: usize) -> Change {
    Change::Delete(NAMES[number].to_owned())
}

#[test]
fn pods_come_one_after_the_other_unless_in_parallel() {
    assert_eq!(decide(&of(3, vec![])), [make(0)]);
    let waits = Seen { available: false, ..up(0, true) };
    assert_eq!(decide(&of(3, vec![(0, waits)])), []);
    assert_eq!(decide(&of(3, vec![(0, up(0, true))])), [make(1)]);
    let parallel = Situation { ordered: false, ..of(3, vec![(1, up(1, true))]) };
    assert_eq!(decide(&parallel), [make(0), make(2)]);
}

#[test]
fn pods_go_from_the_highest_number_down() {
    let all = || (0..4).map(|it| (i64::try_from(it).unwrap(), up(it, true))).collect();
    assert_eq!(decide(&of(2, all())), [delete(3)]);
    let parallel = Situation { ordered: false, ..of(2, all()) };
    assert_eq!(decide(&parallel), [delete(3), delete(2)]);
    let mut going = of(2, all());
    going.pods.insert(3, Seen { going: true, healthy: false, available: false, ..up(3, true) });
    assert_eq!(decide(&going), []);
}

#[test]
fn a_finished_pod_is_made_anew() {
    let over = Seen { finished: true, healthy: false, available: false, ..up(0, true) };
    assert_eq!(decide(&of(2, vec![(0, over)])), [delete(0)]);
}

#[test]
fn an_update_goes_down_to_the_partition() {
    let old = || vec![(0, up(0, false)), (1, up(1, false)), (2, up(2, false))];
    assert_eq!(decide(&of(3, old())), [delete(2)]);
    let mut next = of(3, old());
    next.pods.insert(2, up(2, true));
    assert_eq!(decide(&next), [delete(1)]);
    next.pods.insert(2, Seen { available: false, ..up(2, true) });
    assert_eq!(decide(&next), [], "waits for the one above");
    let mut kept = Situation { partition: 2, ..of(3, old()) };
    assert_eq!(decide(&kept), [delete(2)]);
    kept.pods.insert(2, up(2, true));
    assert_eq!(decide(&kept), []);
    // A pod below the partition comes back as it was.
    kept.pods.remove(&0);
    assert_eq!(decide(&kept), [Change::Make { number: 0, old: true }]);
    assert_eq!(decide(&Situation { rolling: false, ..of(3, old()) }), []);
}

/// Plays until nothing changes; every pod is there and available at once.
#[test]
fn any_state_settles() {
    for (wanted, ordered, partition) in [(0, true, 0), (3, true, 1), (5, false, 0), (4, true, 9)] {
        let mut now = Situation { ordered, partition, ..of(wanted, vec![]) };
        for number in 0..3_usize {
            now.pods.insert(i64::try_from(number).unwrap(), up(number, number == 1));
        }
        let mut rounds = 0;
        loop {
            let changes = decide(&now);
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match change {
                    Change::Make { number, old } => {
                        now.pods.insert(number, up(usize::try_from(number).unwrap(), !old));
                    }
                    Change::Delete(name) => now.pods.retain(|_, it| it.name != name),
                }
            }
            rounds += 1;
            assert!(rounds < 50, "it does not settle: {now:?}");
        }
        assert_eq!(now.pods.keys().copied().collect::<Vec<_>>(), (0..wanted).collect::<Vec<_>>());
        assert!(now.pods.iter().all(|(number, it)| it.updated || *number < partition));
    }
}

fn set(policy: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop", "uid": "db"},
        "spec": {"replicas": 1, "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "persistentVolumeClaimRetentionPolicy": policy,
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [],
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"]}}]}})
}

#[test]
fn a_pod_refers_to_its_claims_in_place_of_volumes_of_that_name() {
    let set = set(&json!({}));
    let pod = pod::pod(&set, &set["spec"]["template"], 3, "db-abc");
    let volumes = json!([{"name": "tmp", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-3"}}]);
    assert_eq!(pod["spec"]["volumes"], volumes);
    assert_eq!(
        (&pod["spec"]["hostname"], &pod["spec"]["subdomain"]),
        (&json!("db-3"), &json!("db"))
    );
    let label = |key: &str| object::label(&pod, key);
    assert_eq!(label("apps.kubernetes.io/pod-index"), Some("3"));
    assert_eq!(label("controller-revision-hash"), Some("db-abc"));
}

#[test]
fn claims_are_made_once_and_go_only_where_the_set_says_so() {
    let mut world = World::default();
    let keeps = set(&json!({}));
    let made = pod::missing_claims(&world, &keeps, 2);
    let [Effect::Create { kind: Kind::PersistentVolumeClaim, object: claim }] = &made[..] else {
        panic!("{made:?}");
    };
    assert_eq!(object::name(claim), "data-db-2");
    assert_eq!(object::label(claim, "app"), Some("db"));
    assert!(claim["metadata"]["ownerReferences"].is_null());
    world.set(Kind::PersistentVolumeClaim, claim.clone());
    assert_eq!(pod::missing_claims(&world, &keeps, 2), []);
    assert_eq!(pod::spare_claims(&world, &keeps, &[]), []);
    let drops = set(&json!({"whenScaled": "Delete", "whenDeleted": "Delete"}));
    let key = Key::new(Kind::PersistentVolumeClaim, "shop", "data-db-2");
    assert_eq!(pod::spare_claims(&world, &drops, &[]), [Effect::Delete(key)]);
    let holder = json!({"metadata": {"name": "db-2"}});
    assert_eq!(pod::spare_claims(&world, &drops, &[&holder]), [], "its pod is still there");
}

#[test]
fn only_names_of_the_set_have_a_number() {
    let set = set(&json!({}));
    let cases =
        [("db-7", Some(7)), ("db-x", None), ("db-", None), ("dbx-1", None), ("other", None)];
    for (name, want) in cases {
        assert_eq!(pod::number_of(&set, name), want, "{name}");
    }
}
