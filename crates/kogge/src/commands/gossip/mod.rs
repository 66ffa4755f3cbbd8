//! `kogge gossip`: the fleet as the hub sees it, or as a member does.

mod table;

use std::{
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use kogge_hub::{Recovering, pull::RECOVERY_PATH};
use kogge_net::FleetReport;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use self::table::table;
use crate::{kubeconfig::Target, stop::Stop};

/// Between two looks of `--watch`.
const LOOK: Duration = Duration::from_secs(1);

/// An agent that does not answer by then is not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// A hub has longer: it may have to ask a member first.
const HUBS_PATIENCE: Duration = Duration::from_secs(10);

/// To the top left of a terminal, and nothing of what was there.
const REDRAW: &str = "\x1b[H\x1b[J";

const LONGEST: u64 = 8 << 20;

/// Show what the members know of each other
///
/// Without options as the hub sees it. While the hub is down an agent answers too: see --agent.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As this member sees the fleet, asked by the hub
    #[arg(long, value_name = "MEMBER")]
    from: Option<String>,
    /// As the agent at this address sees it, asked directly: its --status-address
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "from")]
    agent: Option<String>,
    /// Look again each second until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// How it is shown
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

pub async fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = path(args.from.as_deref())?;
    if !args.watch {
        out.write_all(look(args, &path).await?.as_bytes())?;
        return Ok(());
    }
    let mut stop = Stop::listen()?;
    tokio::select! {
        () = stop.asked() => Ok(()),
        ended = watch(args, &path, out) => ended,
    }
}

/// Looks again and again. What fails is told once, until something else does.
async fn watch(args: &Args, path: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let (before, after) = match args.output {
        _ if io::stdout().is_terminal() => (REDRAW, ""),
        Output::Yaml => ("---\n", ""),
        _ => ("", "\n"),
    };
    let mut failure = None;
    loop {
        match look(args, path).await {
            Ok(seen) => {
                failure = None;
                write!(out, "{before}{seen}{after}")?;
                out.flush()?;
            }
            Err(error) => {
                let now = format!("error: {error:#}").replace('\n', " ");
                if failure.as_ref() != Some(&now) {
                    eprintln!("{now}");
                }
                failure = Some(now);
            }
        }
        sleep(LOOK).await;
    }
}

/// The fleet at this moment, as it is to be shown.
async fn look(args: &Args, path: &str) -> anyhow::Result<String> {
    let report = read(args, path).await?;
    let shown = show(&report, args.output)?;
    let is_for_people = matches!(args.output, Output::Table | Output::Wide);
    if is_for_people && let Some(recovering) = recovering(args).await {
        return Ok(format!("RECOVERING: {}\n{shown}", recovering.message()));
    }
    Ok(shown)
}

fn show(report: &FleetReport, how: Output) -> anyhow::Result<String> {
    Ok(match how {
        Output::Table => table(report, false),
        Output::Wide => table(report, true),
        Output::Json => serde_json::to_string_pretty(report)? + "\n",
        Output::Yaml => kogge_model::yaml::to_string(&serde_json::to_value(report)?),
    })
}

/// Where the hub says it.
fn path(from: Option<&str>) -> anyhow::Result<String> {
    let Some(member) = from else { return Ok("/kogge/v1/gossip".to_owned()) };
    if let Err(reason) = kogge_model::names::dns_label(member) {
        bail!("--from {member}: {reason}");
    }
    Ok(format!("/kogge/v1/gossip?from={member}"))
}

async fn read(args: &Args, path: &str) -> anyhow::Result<FleetReport> {
    let text = if let Some(address) = &args.agent {
        let asked = timeout(PATIENCE, from_agent(address)).await;
        asked.with_context(|| format!("no agent answers at {address}"))??
    } else {
        let silent =
            "the hub does not say; while it is down ask an agent: kogge gossip --agent HOST:PORT";
        let client = args.target.client().await?;
        let asked = timeout(HUBS_PATIENCE, client.raw(path)).await;
        asked.context(silent)?.context(silent)?
    };
    serde_json::from_str(&text).context("what came is no report of gossip")
}

/// What the hub waits for; nothing if it cannot be asked by who asks.
async fn recovering(args: &Args) -> Option<Recovering> {
    if args.agent.is_some() {
        return None;
    }
    let client = args.target.client().await.ok()?;
    let text = timeout(HUBS_PATIENCE, client.raw(RECOVERY_PATH)).await.ok()?.ok()?;
    serde_json::from_str(&text).ok()?
}

/// Plain HTTP: an agent's status says nothing that is not for everybody beside it.
async fn from_agent(address: &str) -> anyhow::Result<String> {
    let stream = tokio::net::TcpStream::connect(address).await;
    let mut stream = stream.with_context(|| format!("no agent answers at {address}"))?;
    let request = format!("GET /gossip HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        bail!("the agent at {address} answers {status}: {body}");
    }
    Ok(body.to_owned())
}
