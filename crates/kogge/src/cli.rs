//! The command line.

use std::io::{IsTerminal as _, Write};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::commands::{
    agent, apply, failover, gossip, hub, identity, init, join, sim, token, unjoin, up, why,
};

/// Many Kubernetes clusters, used as one
#[derive(Debug, Parser)]
#[command(name = "kogge", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more: -v what is done, -vv how
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// How log lines are written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Hub(hub::Args),
    Agent(agent::Args),
    Token(token::Args),
    Identity(identity::Args),
    Init(init::Args),
    Apply(apply::Args),
    Why(why::Args),
    Gossip(gossip::Args),
    Join(join::Args),
    Unjoin(unjoin::Args),
    Failover(failover::Args),
    Sim(sim::Args),
}

impl Cli {
    /// Sends logs to standard error. `RUST_LOG` is obeyed where it is set.
    pub fn log(&self) {
        let level = match (self.verbose, &self.command) {
            // They say themselves what fails, and once; kube says it at each attempt.
            (0, Command::Agent(_)) => "info,kube_client=off",
            (0, Command::Gossip(_)) => "warn,kube_client=off",
            (0, Command::Hub(_) | Command::Sim(_)) | (1, _) => "info",
            (0, _) => "warn",
            _ => "debug,hyper=info,h2=info,rustls=info,tower=info",
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(colours);
        match self.log_format {
            LogFormat::Text => logs.init(),
            LogFormat::Json => logs.json().init(),
        }
    }

    /// Whether it is to run beside a cluster all the time.
    pub fn is_agent(&self) -> bool {
        matches!(self.command, Command::Agent(_))
    }

    pub async fn run(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        match &self.command {
            Command::Up(args) => up::run(args, out).await,
            Command::Hub(args) => hub::run(args, out).await,
            Command::Agent(args) => Box::pin(agent::run(args, out)).await,
            Command::Token(args) => token::run(args, out).await,
            Command::Identity(args) => identity::run(args, out).await,
            Command::Init(args) => init::run(args, out),
            Command::Apply(args) => apply::run(args, out).await,
            Command::Why(args) => why::run(args, out).await,
            Command::Gossip(args) => gossip::run(args, out).await,
            Command::Join(args) => join::run(args, out).await,
            Command::Unjoin(args) => unjoin::run(args, out).await,
            Command::Failover(args) => failover::run(args, out).await,
            Command::Sim(args) => sim::run(args, out).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
