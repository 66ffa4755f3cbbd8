//! The members of `up` among themselves: over QUIC on loopback, as if they were far apart.
//!
//! What a member says of itself is what its agent, which runs in the hub here, reports.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use kogge_agent::head_of;
use kogge_gossip::Head;
use kogge_hub::{FleetGossip, Hub};
use kogge_net::{Gossip, Identity, Options};
use tokio::time::sleep;

use super::ADDRESS;
use crate::clock;

/// Between two looks at how a member is.
const LOOK: Duration = Duration::from_secs(1);

/// Gossips for one member, until it is dropped.
pub(super) async fn run(hub: Arc<Hub>, fleet: Arc<FleetGossip>, name: String, dir: PathBuf) {
    let mut member: Option<(Gossip, Head, Identity)> = None;
    loop {
        let state = hub.pushed_state(&name);
        if state.is_none() {
            // It left the fleet; an agent of its own may come with its name.
            member = None;
        }
        if let Some(state) = state.filter(|it| !it.uid.is_empty()) {
            let head = head_of(&state);
            match &mut member {
                Some((gossip, said, identity)) => {
                    if *said != head {
                        gossip.publish(head.clone()).await;
                        *said = head;
                    }
                    renew(&fleet, gossip, identity).await;
                }
                None => match start(&fleet, &name, &state.uid, dir.clone(), head.clone()).await {
                    Ok((gossip, identity)) => member = Some((gossip, head, identity)),
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
) -> anyhow::Result<(Gossip, Identity)> {
    let identity = fleet.member(name, uid).await?;
    let options = Options {
        identity: identity.clone(),
        listen: Some(SocketAddr::new(ADDRESS, 0)),
        advertise: Vec::new(),
        seeds: vec![fleet.address().to_string()],
        carries_to: None,
        dir: Some(dir),
        head,
        now: clock::now,
    };
    Ok((Gossip::start(options).await?, identity))
}

/// With what the fleet's key of now has signed.
async fn renew(fleet: &FleetGossip, gossip: &Gossip, identity: &mut Identity) {
    match fleet.renewal(identity) {
        Ok(Some(issued)) => {
            identity.issued = issued.clone();
            gossip.renew(issued).await;
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, member = %identity.name, "its certificate stays"),
    }
}
