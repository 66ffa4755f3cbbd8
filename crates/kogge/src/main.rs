//! The `kogge` binary: reads the command line, builds what it asks for, runs it.

mod cli;
mod clock;
mod commands;
mod data_dir;
mod hub_identity;
mod kubeconfig;
mod memory;
mod serving;
mod stop;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if cli.is_agent()
        && let Err(error) = memory::give_back_at_once()
    {
        return failed(&anyhow::Error::new(error).context("could not begin"));
    }
    cli.log();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if cli.is_agent() {
        // It has little to do, and each thread has memory of its own.
        runtime.worker_threads(2);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let done = runtime.block_on(cli.run(&mut std::io::stdout()));
    // What still blocks (a Git fetch, say) is not waited for: it is safe to cut short.
    runtime.shutdown_background();
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
