//! `cargo xtask`: what the repository needs done that cargo itself does not do.

mod bench;
mod ci;
mod kube;
mod run;
mod schemas;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
enum Task {
    Test(test::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Kube(kube::Args),
    Tools(tools::Args),
    Bench(bench::Args),
    Schemas(schemas::Args),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test(args) => test::run(&args),
        Task::Ci(args) => ci::run(&args),
        Task::Tidy(args) => tidy::run(&args),
        Task::Kube(args) => kube::run(&args),
        Task::Tools(args) => tools::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Schemas(args) => schemas::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
