//! The members of `up` among themselves: over QUIC on loopback, as if they were far apart.
//!
//! What a member says of itself is what its agent, which runs in the hub here, reports.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use kogge_agent::head_of;
use kogge_gossip::Head;
use kogge_hub::{FleetGossip, Hub};
use kogge_net::{Gossip, Options};
use tokio::time::sleep;

use super::ADDRESS;
use crate::clock;

/// Between two looks at how a member is.
const LOOK: Duration = Duration::from_secs(1);

/// Gossips for one member, until it is dropped.
pub(super) async fn run(hub: Arc<Hub>, fleet: Arc<FleetGossip>, name: String, dir: PathBuf) {
    let mut member: Option<(Gossip, Head)> = None;
    loop {
        let state = hub.cluster_state(&name).filter(|it| !it.uid.is_empty());
        if let Some(state) = state {
            let head = head_of(&state);
            match &mut member {
                Some((gossip, said)) if *said != head => {
                    gossip.publish(head.clone()).await;
                    *said = head;
                }
                Some(_) => {}
                None => match start(&fleet, &name, &state.uid, dir.clone(), head.clone()).await {
                    Ok(gossip) => member = Some((gossip, head)),
                    Err(error) => tracing::warn!(member = name, "could not gossip: {error:#}"),
                },
            }
        }
        sleep(LOOK).await;
    }
}

async fn start(
    fleet: &FleetGossip,
    name: &str,
    uid: &str,
    dir: PathBuf,
    head: Head,
) -> anyhow::Result<Gossip> {
    let options = Options {
        identity: fleet.member(name, uid).await?,
        listen: SocketAddr::new(ADDRESS, 0),
        advertise: Vec::new(),
        seeds: vec![fleet.address().to_string()],
        carries_to: None,
        dir: Some(dir),
        head,
        now: clock::now,
    };
    Ok(Gossip::start(options).await?)
}
