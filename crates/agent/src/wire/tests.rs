use jiff::Timestamp;
use kogge_member::ObjectKey;
use kogge_model::Resources;
use serde_json::json;

use super::*;
use crate::link::{ClusterState, Drift, Mode, Outcome, Room, Unready, Work};

fn web() -> ObjectKey {
    ObjectKey::new("apps", "Deployment", "shop", "web")
}

#[track_caller]
fn check<T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(said: &T) {
    let text = serde_json::to_string(said).unwrap();
    assert!(!text.contains('\n'), "{text}");
    let heard: T = serde_json::from_str(&text).unwrap();
    assert_eq!(&heard, said, "{text}");
}

#[test]
fn what_the_hub_says_arrives_as_it_was_said() {
    let manifest = r#"{"a":"line\nand \"quote\"","b":1.0}"#;
    let work = Work {
        key: web(),
        api_version: "apps/v1".into(),
        manifest: manifest.into(),
        hash: "1234".into(),
        mode: Mode::Ensure,
    };
    let autoscalers = [("a".to_owned(), json!({"minPods": 5}))].into();
    for said in [
        Desired::Begin { hub: "one".into() },
        Desired::Put(work.into()),
        Desired::Remove { key: web(), asked: true },
        Desired::Complete,
        Desired::Autoscalers(autoscalers),
        Desired::DeletionsApproved,
    ] {
        check(&ToAgent::Desired(said));
    }
    check(&ToAgent::Alive);
    let farewell = Farewell { why: "gone".into(), has_left: true };
    check(&ToAgent::Gone { hub: "one".into(), farewell });
}

#[test]
fn what_the_agent_reports_arrives_as_it_was_said() {
    let mut free = Resources::new(1500, 1 << 30);
    free.set(&kogge_model::ResourceName::of("nvidia.com/gpu"), 2);
    let unready = Unready { reason: "NotReady".into(), message: "no".into() };
    let state = ClusterState {
        ready: Some(Err(unready)),
        api_enablements: [("v1".to_owned(), vec![("pods".to_owned(), "Pod".to_owned())])].into(),
        rooms: Some(vec![Room { free, nodes: 3 }]),
        ..ClusterState::default()
    };
    let well = ClusterState { ready: Some(Ok(())), ..ClusterState::default() };
    let outcome = Outcome::Failed("no".into());
    let drift = Drift { key: web(), at: Timestamp::UNIX_EPOCH, what: "deleted".into() };
    for report in [
        Report::Applied { key: web(), hash: "1234".into(), generation: 7, outcome },
        Report::Status { key: web(), generation: 7, status: json!({"replicas": 2}) },
        Report::Removed { key: web() },
        Report::Drift(drift),
        Report::DeletionsHeld { count: 1, of: 2 },
        Report::Cluster(state.into()),
        Report::Cluster(well.into()),
    ] {
        check(&report);
    }
}

fn answers(code: u16, text: &'static str) -> Client {
    kogge_member::from_service(tower::service_fn(move |_| async move {
        let body = http_body_util::Full::new(bytes::Bytes::from(text));
        let mut answer = http::Response::new(body);
        *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
        Ok::<_, std::io::Error>(answer)
    }))
}

/// Who is heard on one stream, of which nothing is passed on.
async fn check_heard(code: u16, text: &'static str, want: Hearing) {
    let wire = Wire::new("eu", "one", answers(code, text));
    let mut hearing = wire.hearing();
    let mut stream = wire.desired();
    let heard = *hearing.wait_for(Option::is_some).await.unwrap();
    assert_eq!((heard, stream.next().await), (Some(want), None), "{text}");
}

#[tokio::test]
async fn another_hub_is_told_from_one_that_is_away_and_nothing_of_it_is_passed_on() {
    const BEGIN: &str = r#"{"Desired": {"Begin": {"hub": "one"}}}"#;
    const ANOTHERS: &str = r#"{"Desired": {"Begin": {"hub": "two"}}}"#;
    const FAREWELL: &str =
        r#"{"Gone": {"hub": "two", "farewell": {"why": "x", "has_left": true}}}"#;
    const REFUSAL: &str = r#"{"kind": "Status", "code": 403, "reason": "Forbidden",
        "status": "Failure", "message": "the certificate of eu is of hub one, and this is hub two"}"#;
    let own = Wire::new("eu", "one", answers(200, BEGIN));
    assert!(own.desired().next().await.is_some());
    check_heard(200, ANOTHERS, Hearing::Another).await;
    check_heard(200, FAREWELL, Hearing::Another).await;
    check_heard(403, REFUSAL, Hearing::Another).await;
    check_heard(503, "{}", Hearing::Nobody).await;
    check_heard(200, "", Hearing::Nobody).await;
}
