//! 51,000 pods in two kinds over one template: how long grouping and packing take.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints"
)]

use kogge_model::{Node, Pod, PodSpec, ResourceName, Resources};
use kogge_scheduling::{Snapshot, group, pack};
use std::sync::Arc;
use std::time::Instant;

fn pods(owner: &str, n: usize, cpu: i64, memory: i64) -> Vec<Arc<Pod>> {
    let mut requests = Resources::new(cpu, memory);
    requests.set(&ResourceName::Pods, 1);
    let spec = Arc::new(PodSpec { requests, ..PodSpec::default() });
    let one = |i| Pod {
        namespace: owner.to_owned(),
        name: format!("{i}"),
        spec: spec.clone(),
        ..Pod::default()
    };
    (0..n).map(|i| Arc::new(one(i))).collect()
}

fn main() {
    let mut all = pods("a", 50_000, 50, 100);
    all.extend(pods("b", 1000, 95, 190));
    let mut allocatable = Resources::new(1000, 5000 << 20);
    allocatable.set(&ResourceName::Pods, 100);
    let node = Node { name: "t".into(), allocatable, ..Node::default() };
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let start = Instant::now();
            let packing = pack(&group(&all), Snapshot::default(), Some(&node), 3000);
            assert_eq!((packing.nodes, packing.placed), (2595, 51_000));
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("packing 51,000 pods on 2,595 nodes: median {:?}, best {:?}", times[10], times[0]);
}
