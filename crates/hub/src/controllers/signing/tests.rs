use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::pull::{BOOTSTRAPPERS, CLUSTERS, Introduction};

fn token(cluster: &str, expiration: &str) -> Bootstrap {
    let b64 = |text: &str| STANDARD.encode(text);
    Bootstrap::of(&json!({
        "type": TOKEN_TYPE, "metadata": {"name": "bootstrap-token-abcdef"},
        "data": {
            "token-id": b64("abcdef"), "token-secret": b64("0123456789abcdef"),
            "expiration": b64(expiration), "usage-bootstrap-authentication": b64("true"),
            "cluster": b64(cluster),
        },
    }))
    .expect("a token")
}

fn member(id: &str, mode: &str) -> Cluster {
    let cluster = json!({"metadata": {"name": "eu"}, "spec": {"id": id, "syncMode": mode}});
    serde_json::from_value(cluster).expect("a cluster")
}

/// A cluster that was never seen asks with a good token.
fn newcomer() -> Observed {
    Observed {
        now: Timestamp::UNIX_EPOCH,
        hub: "one".into(),
        request: Request {
            name: "agent-eu".into(),
            username: "system:bootstrap:abcdef".into(),
            groups: vec![BOOTSTRAPPERS.into()],
            introduction: Introduction {
                name: "eu".into(),
                id: "1234".into(),
                region: Some("europe".into()),
                ..Introduction::default()
            },
            ..Request::default()
        },
        token: Some(token("", "1970-01-01T01:00:00Z")),
        cluster: None,
        twin: None,
    }
}

/// A member asks with its certificate.
fn renewal() -> Observed {
    let mut seen = newcomer();
    seen.request.username = "system:cluster:eu".into();
    seen.request.groups = vec![CLUSTERS.into()];
    seen.request.uid = "1234".into();
    seen.request.origin = Some("kogge://one/cluster/eu".into());
    (seen.token, seen.cluster) = (None, Some(member("1234", "Pull")));
    seen
}

#[track_caller]
fn denied(seen: &Observed, because: &str) {
    let effects = decide(seen);
    let [Effect::Deny(why)] = &effects[..] else { panic!("{because}: {effects:?}") };
    assert!(why.contains(because), "{why}");
}

#[test]
fn a_good_token_makes_a_cluster_a_member_once() {
    let mut seen = newcomer();
    let effects = decide(&seen);
    let [Effect::UseToken(used), Effect::CreateCluster(cluster), Effect::Issue(holder)] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(used.id, "abcdef");
    let spec = json!({"id": "1234", "syncMode": "Pull", "region": "europe"});
    assert_eq!(cluster["spec"], spec);
    assert_eq!(holder.user, "system:cluster:eu");
    assert_eq!(holder.uri, "kogge://one/cluster/eu");
    // Cut short after the first two, the next run does the rest.
    if let Some(token) = &mut seen.token {
        token.used_by = Some("agent-eu".into());
    }
    seen.cluster = Some(member("1234", "Pull"));
    assert!(matches!(&decide(&seen)[..], [Effect::Issue(_)]));
    // Answered, there is nothing to do until it is old.
    seen.request.answered = true;
    seen.request.made = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(decide(&seen), []);
    seen.now = Timestamp::from_second(3601).expect("small");
    assert_eq!(decide(&seen), [Effect::Remove]);
}

#[test]
fn a_bad_token_lets_nobody_in() {
    let mut seen = newcomer();
    if let Some(token) = &mut seen.token {
        token.used_by = Some("agent-us".into());
    }
    denied(&seen, "was used already, and serves once");
    seen.token = Some(token("us", "1970-01-01T01:00:00Z"));
    denied(&seen, "is for a cluster named us; say --name us");
    seen.token = Some(token("", "1970-01-01T00:00:00Z"));
    denied(&seen, "kogge token create");
    seen.token = None;
    denied(&seen, "kogge token create");
    seen.request.groups.clear();
    denied(&seen, "a bootstrap token");
}

#[test]
fn no_cluster_is_a_member_twice_and_no_name_is_taken_over() {
    let mut seen = newcomer();
    seen.twin = Some("us".into());
    denied(&seen, "a member already, as us");
    seen.twin = None;
    seen.cluster = Some(member("5678", "Pull"));
    denied(&seen, "another cluster is a member as eu");
    seen.cluster = Some(member("1234", "Push"));
    denied(&seen, "the hub dials eu itself");
    // Whoever knows its id is not it; who has a token for it is.
    seen.cluster = Some(member("1234", "Pull"));
    denied(&seen, "kogge token create eu");
    seen.token = Some(token("eu", "1970-01-01T01:00:00Z"));
    assert!(matches!(&decide(&seen)[..], [Effect::UseToken(_), Effect::Issue(_)]));
    // One that a Federation lists and nobody joined becomes what the agent says.
    seen.cluster = Some(member("", "Push"));
    let effects = decide(&seen);
    assert!(
        matches!(&effects[..], [Effect::UseToken(_), Effect::AdoptCluster(_), Effect::Issue(_)]),
        "{effects:?}"
    );
    seen.token = Some(token("", "1970-01-01T01:00:00Z"));
    seen.request.introduction.name = "hub-1".into();
    denied(&seen, "hubs are called so");
    seen.request.introduction.name = "eu.one".into();
    denied(&seen, "\"eu.one\" cannot be a cluster's name: a lowercase RFC 1123 label");
}

#[test]
fn a_member_renews_its_own_certificate_only() {
    let mut seen = renewal();
    assert!(matches!(&decide(&seen)[..], [Effect::Issue(_)]));
    seen.request.introduction.name = "us".into();
    denied(&seen, "may not ask for us's certificate");
    seen = renewal();
    seen.request.uid = "5678".into();
    denied(&seen, "may not ask");
    seen = renewal();
    seen.cluster = Some(member("5678", "Pull"));
    denied(&seen, "or no longer");
    seen.cluster = None;
    denied(&seen, "or no longer");
    // Of a hub with the same keys: it would change hands without anybody's word.
    seen = renewal();
    seen.hub = "two".into();
    denied(&seen, "the certificate of eu is of hub one, and this is hub two");
}
