//! Gossip and nothing else: all members in this process, on loopback.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use kogge_gossip::{Head, Name, State};
use kogge_net::{Authority, Gossip, Options};

use super::{EVENTS, IDLE, WARM, cpu_ms};

pub fn measure(members: usize) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(members))
}

async fn run(members: usize) -> anyhow::Result<()> {
    let fleet = start(members).await?;
    tokio::time::sleep(WARM).await;
    let before = cpu_ms(std::process::id())?;
    tokio::time::sleep(IDLE).await;
    let used = cpu_ms(std::process::id())? - before;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let each = used as f64 / members as f64 / IDLE.as_secs_f64() / 10.0;
    println!("gossip alone, {members} members in one process: {each:.3} % of a core each, idle");
    let mut times = Vec::new();
    for event in 0..EVENTS {
        tokio::time::sleep(Duration::from_secs(2)).await;
        times.push(event_time(&fleet, event).await?);
    }
    times.sort();
    println!(
        "gossip alone, a head is known to all after {:.1?} (median; the longest {:.1?})",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    Ok(())
}

async fn start(members: usize) -> anyhow::Result<Vec<Gossip>> {
    let authority = Authority::create("bench", now())?;
    let mut fleet: Vec<Gossip> = Vec::new();
    for at in 0..members {
        let name = Name::new(&format!("m{at}")).context("a name")?;
        let day = Duration::from_hours(24);
        let options = Options {
            carries_to: None,
            identity: authority.identity(&name, &[7; 16], day, now())?,
            listen: Some("127.0.0.1:0".parse()?),
            advertise: Vec::new(),
            seeds: fleet.first().map(|it| it.address().to_string()).into_iter().collect(),
            dir: None,
            head: Head::default(),
            now,
        };
        fleet.push(Gossip::start(options).await?);
    }
    for member in &fleet {
        while alive(member).await? < members {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(fleet)
}

async fn alive(member: &Gossip) -> anyhow::Result<usize> {
    let view = member.view().await.context("it runs")?;
    Ok(view.members.iter().filter(|it| it.state == State::Alive).count())
}

/// From when a member is told what to say, until every other one has heard it.
async fn event_time(fleet: &[Gossip], event: usize) -> anyhow::Result<Duration> {
    let at = event % fleet.len();
    let name = Name::new(&format!("m{at}")).context("a name")?;
    let works = [u8::try_from(event + 1)?; 16];
    let begun = Instant::now();
    fleet[at].publish(Head { works, ..Head::default() }).await;
    for member in fleet {
        while member.head(&name).await.context("it is known")?.works != works {
            tokio::task::yield_now().await;
        }
    }
    Ok(begun.elapsed())
}

fn now() -> Timestamp {
    Timestamp::now()
}
