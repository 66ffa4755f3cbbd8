//! `kogge gossip`: the fleet as the hub sees it, or as a member does.

mod table;

use std::{io::Write, time::Duration};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use kogge_hub::{Recovering, pull::RECOVERY_PATH};
use kogge_net::FleetReport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use self::table::table;
use crate::{kubeconfig::Target, stop::Stop};

/// Between two looks of `--watch`.
const LOOK: Duration = Duration::from_secs(1);

/// An agent that does not answer by then is not there.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let mut stop = Stop::listen()?;
    loop {
        let report = read(args).await?;
        if let (Output::Table | Output::Wide, Some(recovering)) =
            (args.output, recovering(args).await)
        {
            writeln!(out, "RECOVERING: {}", recovering.message())?;
        }
        show(&report, args.output, out)?;
        if !args.watch {
            return Ok(());
        }
        writeln!(out)?;
        out.flush()?;
        tokio::select! {
            () = stop.asked() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn show(report: &FleetReport, how: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    match how {
        Output::Table => out.write_all(table(report, false).as_bytes())?,
        Output::Wide => out.write_all(table(report, true).as_bytes())?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(report)?)?,
        Output::Yaml => {
            let value = serde_json::to_value(report)?;
            out.write_all(kogge_model::yaml::to_string(&value).as_bytes())?;
        }
    }
    Ok(())
}

async fn read(args: &Args) -> anyhow::Result<FleetReport> {
    let text = if let Some(address) = &args.agent {
        let asked = tokio::time::timeout(PATIENCE, from_agent(address)).await;
        asked.with_context(|| format!("no agent answers at {address}"))??
    } else {
        let path = match &args.from {
            Some(member) => {
                if let Err(reason) = kogge_model::names::dns_label(member) {
                    bail!("--from {member}: {reason}");
                }
                format!("/kogge/v1/gossip?from={member}")
            }
            None => "/kogge/v1/gossip".to_owned(),
        };
        let client = args.target.client().await?;
        client.raw(&path).await.context(
            "the hub does not say; while it is down ask an agent: kogge gossip --agent HOST:PORT",
        )?
    };
    serde_json::from_str(&text).context("what came is no report of gossip")
}

/// What the hub waits for; nothing if it cannot be asked by who asks.
async fn recovering(args: &Args) -> Option<Recovering> {
    if args.agent.is_some() {
        return None;
    }
    let client = args.target.client().await.ok()?;
    let text = client.raw(RECOVERY_PATH).await.ok()?;
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
