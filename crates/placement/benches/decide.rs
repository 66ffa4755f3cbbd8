//! Decisions a second on one core: 100 clusters, 1,000 policies, all strategies in turn.
//!
//! `cargo bench -p kogge-placement`

use std::collections::BTreeMap;
use std::hint::black_box;

use kogge_placement::{Cluster, Mode, Policy, PolicyIndex, PolicySpec, Request, Template, decide};
use serde_json::{Value, json};

const CLUSTERS: u32 = 100;
const POLICIES: u32 = 1_000;
const DECISIONS: u32 = 40_000;

fn clusters() -> Vec<Cluster> {
    let one = |i: u32| Cluster {
        name: format!("cluster-{i:03}"),
        labels: [("tier".to_owned(), ["gold", "silver"][i as usize % 2].to_owned())].into(),
        region: ["eu", "us", "ap"][i as usize % 3].to_owned(),
        apis: Some([("apps/v1".to_owned(), ["Deployment".to_owned()].into())].into()),
        ready: true,
        ..Cluster::default()
    };
    (0..CLUSTERS).map(one).collect()
}

fn placement(i: u32) -> Value {
    let strategy = match i % 4 {
        0 => json!({"replicaSchedulingType": "Duplicated"}),
        1 => json!({}),
        2 => json!({"weightPreference": {"dynamicWeight": "AvailableReplicas"}}),
        _ => json!({"replicaDivisionPreference": "Aggregated"}),
    };
    let affinity = match i % 3 {
        0 => json!({}),
        1 => json!({"labelSelector": {"matchLabels": {"tier": "gold"}}}),
        _ => json!({"fieldSelector": {"matchExpressions": [
            {"key": "region", "operator": "In", "values": ["eu", "us"]}]}}),
    };
    json!({"clusterAffinity": affinity, "replicaScheduling": strategy})
}

/// A third by name, a third by label, a third by expression.
fn policy(i: u32) -> Policy {
    let mut selector = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
    match i % 3 {
        0 => selector["name"] = format!("app-{i}").into(),
        1 => selector["labelSelector"] = json!({"matchLabels": {"app": format!("app-{i}")}}),
        _ => {
            selector["labelSelector"] = json!({"matchExpressions": [
                {"key": "app", "operator": "In", "values": [format!("app-{i}")]}]});
        }
    }
    let spec = json!({"resourceSelectors": [selector], "placement": placement(i)});
    let spec: PolicySpec = serde_json::from_value(spec).expect("a policy as users write it");
    Policy { namespace: None, name: format!("policy-{i}"), spec }
}

fn main() {
    let clusters = clusters();
    let index = PolicyIndex::new((0..POLICIES).map(policy).collect());
    let labels: Vec<BTreeMap<String, String>> =
        (0..POLICIES).map(|i| [("app".to_owned(), format!("app-{i}"))].into()).collect();
    let room = |it: &Cluster| u32::try_from(it.name.len()).unwrap_or(0) * 10;
    let previous = BTreeMap::new();
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let start = std::time::Instant::now();
    let mut placed = 0;
    for i in 0..DECISIONS {
        let app = i % POLICIES;
        let (name, uid) = (format!("app-{app}"), format!("uid-{i}"));
        let template = Template {
            api_version: "apps/v1",
            kind: "Deployment",
            namespace: "shop",
            name: &name,
            uid: &uid,
            labels: &labels[app as usize],
            replicas: Some(1 + i % 500),
        };
        let policy = index.select(&template).expect("there is a policy for each app");
        let decision = decide(&Request {
            template: &template,
            placement: &policy.spec.placement,
            clusters: &clusters,
            room: &room,
            previous: &previous,
            previous_group: None,
            mode: Mode::Steady,
            left: &BTreeMap::new(),
        });
        placed += black_box(decision).targets.len();
    }
    let took = start.elapsed();
    let rate = f64::from(DECISIONS) / took.as_secs_f64();
    #[expect(clippy::print_stdout, reason = "a benchmark's result")]
    {
        println!("{DECISIONS} decisions in {took:.2?}: {rate:.0}/s ({placed} targets)");
    }
}
