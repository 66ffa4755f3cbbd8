//! The agent among the members: let in by the hub once, and told by them ever after.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use kogge_gossip::{Head, Name};
use kogge_hub::{
    Admission,
    pull::{Asking, admission_path},
    uid_of,
};
use kogge_net::{Gossip, MemberKey, Options};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, time::sleep};

use super::{identity, status, ways::Ways};
use crate::clock;

/// Between attempts to be let in.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Between attempts to gossip at all.
const AGAIN: Duration = Duration::from_secs(10);

/// How the agent takes part in the fleet's gossip.
#[derive(Debug, clap::Args)]
pub struct GossipArgs {
    /// Address where other members reach this one, UDP and TCP; without it this one only dials
    #[arg(long, value_name = "IP:PORT")]
    gossip_address: Option<SocketAddr>,
    /// As which others dial it, if that is another: HOST:PORT
    #[arg(long, value_name = "HOST:PORT", requires = "gossip_address")]
    gossip_advertise: Vec<String>,
    /// Address of plain HTTP for `kogge gossip --agent` and /healthz
    #[arg(long, value_name = "IP:PORT")]
    status_address: Option<SocketAddr>,
}

/// What is kept on disk, readable by its owner only.
#[derive(Serialize, Deserialize)]
struct Member {
    key: Vec<u8>,
    admission: Option<Admission>,
    admitted: Option<Timestamp>,
}

impl Member {
    /// What is kept; at the first start a new key.
    fn open(file: &Path) -> anyhow::Result<Self> {
        if let Some(member) = identity::read(file)? {
            return Ok(member);
        }
        let key = MemberKey::generate().map_err(|it| anyhow!(it))?.pkcs8().to_vec();
        let made = Self { key, admission: None, admitted: None };
        identity::write(file, &made)?;
        Ok(made)
    }

    /// Of its certificate for links; at once where none is known.
    fn renewal_is_due(&self) -> anyhow::Result<Timestamp> {
        let (Some(admission), Some(admitted)) = (&self.admission, self.admitted) else {
            return Ok(Timestamp::UNIX_EPOCH);
        };
        let expires =
            admission.issued.expires().context("the hub gave no certificate for links")?;
        Ok(identity::renewal_is_due(admitted, expires))
    }
}

/// Forgets whom the hub let in before: who joins anew is let in anew.
pub fn forget(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.join("gossip");
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Gossips what `heads` says until it is dropped. What is wrong with gossip is told and tried
/// again: the cluster is healed and scaled without it.
pub async fn run(
    args: &GossipArgs,
    dir: &Path,
    agent: &identity::Identity,
    ways: &Ways,
    heads: watch::Receiver<Head>,
) {
    loop {
        let ended = try_run(args, dir, agent, ways, heads.clone()).await;
        ways.use_members(None);
        if let Err(error) = ended {
            tracing::warn!("this cluster does not gossip: {error:#}");
        }
        sleep(AGAIN).await;
    }
}

/// Before the hub has let it in once it waits.
async fn try_run(
    args: &GossipArgs,
    dir: &Path,
    agent: &identity::Identity,
    ways: &Ways,
    heads: watch::Receiver<Head>,
) -> anyhow::Result<()> {
    let (home, dir) = (dir, dir.join("gossip"));
    crate::data_dir::create(&dir)?;
    let file = dir.join("member.json");
    let mut member = Member::open(&file)?;
    let key = MemberKey::open(&member.key).map_err(|it| anyhow!("{}: {it}", file.display()))?;
    let admission = match member.admission.clone() {
        Some(admission) => admission,
        None => admitted(home, &key, &mut member, &file, ways).await?,
    };
    let gossip = start(args, dir, agent, &key, &admission, ways).await?;
    let gossip = Arc::new(gossip);
    ways.use_members(Some(gossip.clone()));
    tracing::info!(address = %gossip.address(), "gossips with the fleet");
    tokio::select! {
        ended = serve_status(args.status_address, gossip.clone()) => ended,
        ended = renew_for_ever(&gossip, home, &key, &mut member, &file, ways) => ended,
        () = tell(&gossip, heads) => Ok(()),
    }
}

/// Says what there is to say, as long as the agent runs.
async fn tell(gossip: &Gossip, mut heads: watch::Receiver<Head>) {
    while heads.changed().await.is_ok() {
        let head = heads.borrow_and_update().clone();
        gossip.publish(head).await;
    }
}

/// While the hub is away it goes on with what it has.
async fn renew_for_ever(
    gossip: &Gossip,
    home: &Path,
    key: &MemberKey,
    member: &mut Member,
    file: &Path,
    ways: &Ways,
) -> anyhow::Result<()> {
    loop {
        let left = member.renewal_is_due()?.duration_since(clock::now());
        if left.is_positive() {
            sleep(left.unsigned_abs()).await;
        }
        let admission = admitted(home, key, member, file, ways).await?;
        gossip.renew(admission.issued).await;
        // By a clock that is far ahead of the hub's, the next is due at once.
        sleep(AGAIN).await;
    }
}

async fn start(
    args: &GossipArgs,
    dir: PathBuf,
    agent: &identity::Identity,
    key: &MemberKey,
    admission: &Admission,
    ways: &Ways,
) -> anyhow::Result<Gossip> {
    let name = Name::new(&agent.name).context("the cluster's name is no name of a member")?;
    let options = Options {
        identity: kogge_net::Identity {
            name,
            uid: uid_of(&agent.cluster_id),
            key: key.clone(),
            issued: admission.issued.clone(),
        },
        listen: args.gossip_address,
        advertise: args.gossip_advertise.clone(),
        seeds: admission.seeds.clone(),
        carries_to: Some(ways.hub().to_owned()),
        dir: Some(dir),
        head: Head::default(),
        now: clock::now,
    };
    Gossip::start(options).await.context("could not gossip")
}

/// Asks the hub until it lets the member in, and keeps what it gave.
async fn admitted(
    home: &Path,
    key: &MemberKey,
    member: &mut Member,
    file: &Path,
    ways: &Ways,
) -> anyhow::Result<Admission> {
    loop {
        match ask(home, key, ways).await {
            Ok(admission) => {
                member.admission = Some(admission.clone());
                member.admitted = Some(clock::now());
                identity::write(file, member)?;
                return Ok(admission);
            }
            Err(error) => tracing::debug!("not let into the gossip yet: {error:#}"),
        }
        sleep(ASK_AGAIN).await;
    }
}

async fn ask(home: &Path, key: &MemberKey, ways: &Ways) -> anyhow::Result<Admission> {
    // As it is now: its certificate is renewed each day.
    let agent = identity::Identity::read(home)?.context("the agent's identity is gone")?;
    let body = serde_json::to_vec(&Asking { key: key.public() })?;
    let client = agent.client(ways).await?;
    let answer = client.post_bytes(&admission_path(&agent.name), body).await?;
    serde_json::from_str(&answer).context("the hub's answer is none")
}

async fn serve_status(address: Option<SocketAddr>, gossip: Arc<Gossip>) -> anyhow::Result<()> {
    let Some(address) = address else { return std::future::pending().await };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("could not listen on {address}"))?;
    status::serve(listener, gossip).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kogge_net::Authority;

    #[test]
    fn a_certificate_for_links_is_renewed_at_two_thirds_of_whatever_life_it_has() {
        let key = MemberKey::generate().expect("a key");
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let name = Name::new("eu").expect("a name");
        let authority = Authority::create("fleet", at).expect("an authority");
        for (hours, minutes) in [(24, 16 * 60), (3, 2 * 60)] {
            let life = Duration::from_hours(hours);
            let issued = authority.issue(&name, &[1; 16], &key.public(), life, at);
            let issued = issued.expect("a certificate");
            let mut member = Member {
                key: key.pkcs8().to_vec(),
                admission: Some(Admission { issued, seeds: Vec::new() }),
                admitted: Some(at),
            };
            let due = member.renewal_is_due().expect("a time");
            assert_eq!(due, at + Duration::from_mins(minutes));
            member.admitted = None;
            assert!(member.renewal_is_due().expect("a time") < at);
        }
    }
}
