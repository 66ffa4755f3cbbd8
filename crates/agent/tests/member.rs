//! One agent against one member: what it applies, heals, holds and deletes.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod common;

use common::{Agent, SOON};
use kogge_agent::link::{Desired, Mode, Outcome, Report};
use kogge_member::{Apply, Client, DeleteOptions, ObjectKey, Resource};
use kogge_testkit::wait_until_async;
use serde_json::{Value, json};

async fn member() -> kogge_sim::SimMember {
    common::member(Vec::new()).await
}

fn config_maps() -> Resource {
    Resource::new("", "v1", "ConfigMap", "configmaps", true)
}

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"}, "data": {"value": value}})
}

async fn has(client: &Client, name: &str, value: Option<&str>) {
    wait_until_async(SOON, &format!("{name} is {value:?}"), || async {
        let found = client.get(&config_maps(), "default", name).await.ok();
        let found = found.map(|it| it["data"]["value"].as_str().unwrap_or_default().to_owned());
        (found.as_deref() == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wanted_is_applied_and_kept() {
    let member = member().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    agent.hub.put(&config_map("a", "1"), Mode::Abort);
    agent.hub.say(Desired::Complete);
    has(&client, "a", Some("1")).await;

    let options = DeleteOptions::default();
    client.delete(&config_maps(), "default", "a", &options).await.unwrap();
    has(&client, "a", Some("1")).await;
    agent
        .hub
        .hear("a deletion", |it| match it {
            Report::Drift(drift) if drift.what.starts_with("deleted at") => Some(()),
            _ => None,
        })
        .await;
    let how = Apply { manager: "somebody", force: true, dry_run: false };
    client.apply(&config_maps(), &config_map("a", "2"), how).await.unwrap();
    has(&client, "a", Some("1")).await;
    let what = agent
        .hub
        .hear("an edit", |it| match it {
            Report::Drift(drift) if drift.what.contains("changed") => Some(drift.what.clone()),
            _ => None,
        })
        .await;
    assert!(what.contains("data.value") && what.contains("somebody"), "{what}");
}

#[tokio::test]
async fn an_item_with_another_key_is_taken_away() {
    let member = member().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    let service = |port: u16| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": port}]}})
    };
    let services = Resource::new("", "v1", "Service", "services", true);
    agent.hub.put(&service(80), Mode::Abort);
    agent.hub.say(Desired::Complete);
    let ports = async |want: &[i64]| {
        wait_until_async(SOON, &format!("ports are {want:?}"), || async {
            let found = client.get(&services, "default", "web").await.ok()?;
            let ports = found["spec"]["ports"].as_array()?;
            let ports: Vec<i64> = ports.iter().filter_map(|it| it["port"].as_i64()).collect();
            (ports == want).then_some(found)
        })
        .await
    };
    ports(&[80]).await;
    let edit = json!({"spec": {"ports": [{"name": "http", "port": 81}]}});
    client.merge(&services, "default", "web", None, &edit).await.unwrap();
    let healed = ports(&[80]).await;
    let managers = healed["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().all(|it| it["manager"] != "kogge-overwrite"), "{managers:?}");
    // What the hub wants no more still goes.
    agent.hub.put(&service(8080), Mode::Abort);
    ports(&[8080]).await;
}

#[tokio::test]
async fn somebody_elses_object_is_a_conflict_and_stays_as_it_is() {
    let member = member().await;
    let client = member.client();
    client.create(&config_maps(), &config_map("theirs", "old")).await.unwrap();
    let agent = Agent::start(client.clone());
    agent.hub.put(&config_map("theirs", "new"), Mode::Abort);
    agent.hub.say(Desired::Complete);
    let message = agent
        .hub
        .hear("a conflict", |it| match it {
            Report::Applied { outcome: Outcome::Conflict(message), .. } => Some(message.clone()),
            _ => None,
        })
        .await;
    assert!(message.contains("Overwrite"), "{message}");
    has(&client, "theirs", Some("old")).await;
    // It is not kogge's, so it is not deleted when it is wanted no more.
    agent.hub.say(Desired::Remove { key: ObjectKey::of(&config_map("theirs", "")), asked: true });
    agent.hub.put(&config_map("theirs-too", "new"), Mode::Abort);
    has(&client, "theirs-too", Some("new")).await;
    has(&client, "theirs", Some("old")).await;
    agent.hub.put(&config_map("theirs", "new"), Mode::Overwrite);
    has(&client, "theirs", Some("new")).await;
}

#[tokio::test]
async fn another_agent_deletes_what_a_complete_set_lacks_and_not_before() {
    let member = member().await;
    let client = member.client();
    let first = Agent::start(client.clone());
    for name in ["a", "b"] {
        first.hub.put(&config_map(name, "1"), Mode::Abort);
    }
    first.hub.say(Desired::Complete);
    has(&client, "a", Some("1")).await;
    has(&client, "b", Some("1")).await;
    drop(first);

    let second = Agent::start(client.clone());
    second.hub.put(&config_map("b", "2"), Mode::Abort);
    has(&client, "b", Some("2")).await;
    has(&client, "a", Some("1")).await;
    second.hub.say(Desired::Complete);
    has(&client, "a", None).await;
    has(&client, "b", Some("2")).await;
}

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"}})
}

#[tokio::test]
async fn an_agent_that_starts_counts_all_kinds_before_it_deletes_any() {
    let member = member().await;
    let client = member.client();
    let first = Agent::start(client.clone());
    for number in 0..12 {
        first.hub.put(&config_map(&format!("c{number}"), "1"), Mode::Abort);
        first.hub.put(&secret(&format!("s{number}")), Mode::Abort);
    }
    first.hub.say(Desired::Complete);
    let secrets = Resource::new("", "v1", "Secret", "secrets", true);
    let there = async |want: usize| {
        let ours = "kogge.dev/managed=true";
        wait_until_async(SOON, &format!("{want} objects are there"), || async {
            let found = client.list(&config_maps(), "default", ours).await.ok()?.len()
                + client.list(&secrets, "default", ours).await.ok()?.len();
            (found == want).then_some(())
        })
        .await;
    };
    there(24).await;
    drop(first);

    let second = Agent::start(client.clone());
    second.hub.say(Desired::Complete);
    let held = second
        .hub
        .hear("deletions are held", |it| match it {
            Report::DeletionsHeld { count, of } => Some((*count, *of)),
            _ => None,
        })
        .await;
    assert_eq!(held, (24, 24));
    there(24).await;
    // What is wanted again is held no more, and that is said.
    for number in 0..12 {
        second.hub.put(&config_map(&format!("c{number}"), "1"), Mode::Abort);
        second.hub.put(&secret(&format!("s{number}")), Mode::Abort);
    }
    second
        .hub
        .hear("nothing is held", |it| match it {
            Report::DeletionsHeld { count: 0, .. } => Some(()),
            _ => None,
        })
        .await;
    there(24).await;
}

#[tokio::test]
async fn a_cluster_of_another_hub_is_left_alone() {
    let member = member().await;
    let client = member.client();
    let first = Agent::of("first", client.clone());
    first.hub.put(&config_map("a", "1"), Mode::Abort);
    first.hub.say(Desired::Complete);
    has(&client, "a", Some("1")).await;

    let second = Agent::of("second", client.clone());
    second.hub.put(&config_map("a", "2"), Mode::Overwrite);
    second.hub.say(Desired::Complete);
    let message = second
        .hub
        .hear("whose it is", |it| match it {
            Report::Cluster(state) => match &state.ready {
                Some(Err(unready)) if unready.reason == "OwnedByAnotherHub" => {
                    Some(unready.message.clone())
                }
                _ => None,
            },
            _ => None,
        })
        .await;
    assert!(message.contains("first") && message.contains("--take-over"), "{message}");
    has(&client, "a", Some("1")).await;
}

/// Takes away everything but the first, without anybody having asked for it.
fn lose(agent: &Agent, names: &[String]) {
    for name in &names[1..] {
        let key = ObjectKey::of(&config_map(name, ""));
        agent.hub.say(Desired::Remove { key, asked: false });
    }
}

async fn held(agent: &Agent, times: usize) {
    wait_until_async(SOON, "deletions are held", || async {
        let heard = agent.hub.heard.lock().unwrap();
        let held = heard.iter().filter(|it| matches!(it, Report::DeletionsHeld { .. })).count();
        (held == times).then_some(())
    })
    .await;
}

#[tokio::test]
async fn many_deletions_that_nobody_asked_for_wait_for_a_word_each_time() {
    let member = member().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    let names: Vec<String> = (0..20).map(|it| format!("c{it}")).collect();
    for round in ["1", "2"] {
        for name in &names {
            agent.hub.put(&config_map(name, round), Mode::Abort);
        }
        agent.hub.say(Desired::Complete);
        for name in &names {
            has(&client, name, Some(round)).await;
        }
        // Agreeing before there is anything to agree to is no word.
        agent.hub.say(Desired::DeletionsApproved);
        lose(&agent, &names);
        held(&agent, round.parse().unwrap()).await;
        has(&client, "c19", Some(round)).await;
        agent.hub.say(Desired::DeletionsApproved);
        for name in &names[1..] {
            has(&client, name, None).await;
        }
        has(&client, "c0", Some(round)).await;
    }
}

#[tokio::test]
async fn a_namespace_stays_while_a_stranger_lives_in_it() {
    let member = member().await;
    let client = member.client();
    let agent = Agent::start(client.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    agent.hub.put(&namespace, Mode::Abort);
    agent.hub.say(Desired::Complete);
    agent
        .hub
        .hear("the namespace is applied", |it| match it {
            Report::Applied { outcome: Outcome::Applied, .. } => Some(()),
            _ => None,
        })
        .await;
    let ingresses = Resource::new("networking.k8s.io", "v1", "Ingress", "ingresses", true);
    let stranger = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "theirs", "namespace": "shop"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    client.create(&ingresses, &stranger).await.unwrap();
    agent.hub.say(Desired::Remove { key: ObjectKey::of(&namespace), asked: true });
    let message = agent
        .hub
        .hear("it is kept", |it| match it {
            Report::Applied { outcome: Outcome::Conflict(message), .. } => Some(message.clone()),
            _ => None,
        })
        .await;
    assert!(message.contains("shop") && message.contains("theirs"), "{message}");
    assert!(client.get(&ingresses, "shop", "theirs").await.is_ok());
}

#[tokio::test]
async fn how_many_objects_are_the_fleets_is_told() {
    let member = member().await;
    let agent = Agent::start(member.client());
    let owns = async |count: usize| {
        let what = format!("that it owns {count}");
        let is_it = |it: &Report| match it {
            Report::Cluster(state) if state.owned == Some(count) => Some(()),
            _ => None,
        };
        agent.hub.hear(&what, is_it).await;
        agent.hub.heard.lock().unwrap().clear();
    };
    let objects = ["a", "b"].map(|it| config_map(it, "1"));
    for object in &objects {
        agent.hub.put(object, Mode::Abort);
    }
    agent.hub.say(Desired::Complete);
    owns(2).await;
    for object in &objects {
        agent.hub.say(Desired::Remove { key: ObjectKey::of(object), asked: true });
    }
    owns(0).await;
}
