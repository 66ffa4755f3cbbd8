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
