//! The built binary and kubectl, as a user has them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kogge_testkit::{
    Process,
    kubectl::{self, Version},
    process::Leash,
    wait_until,
};

/// Long enough for a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_mins(1);

pub fn kogge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kogge"))
}

/// Starts `kogge up` and waits until it says that the fleet is ready.
pub fn up(dir: &Path) -> Process {
    up_with(dir, &[], &[])
}

/// The same, with more words and in another environment.
pub fn up_with(dir: &Path, words: &[&str], environment: &[(&str, &OsStr)]) -> Process {
    let mut command = kogge();
    command.args(["up", "--port", "0", "--data-dir"]).arg(dir).args(words);
    command.envs(environment.iter().copied());
    let log = dir.with_extension("log");
    let mut process =
        Process::spawn("kogge up", command, &log, Leash::Watchdog).expect("kogge starts");
    process.wait_log("The fleet is ready", SOON);
    process
}

/// kubectl against one kubeconfig.
pub struct Kubectl {
    pub binary: PathBuf,
    pub kubeconfig: PathBuf,
}

impl Kubectl {
    pub fn or_skip(kubeconfig: PathBuf) -> Option<Self> {
        Some(Self { binary: kubectl::or_skip(Version::V1_37)?, kubeconfig })
    }

    /// What it printed, or what it said to be wrong.
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        let mut command = kubectl::command(&self.binary, &self.kubeconfig);
        let output = command.args(words).output().expect("kubectl was found");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.run(words).unwrap_or_else(|said| panic!("kubectl {words:?}: {said}"))
    }

    /// What `kogge why` says of an object.
    #[track_caller]
    pub fn why(&self, object: &str, namespace: &str) -> String {
        let mut command = kogge();
        command.args(["why", object, "-n", namespace, "--kubeconfig"]).arg(&self.kubeconfig);
        let output = command.output().expect("kogge runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kogge why {object}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until a command prints something that contains `text`.
    #[track_caller]
    pub fn wait(&self, words: &[&str], text: &str) -> String {
        wait_until(SOON, &format!("kubectl {words:?} says {text:?}"), || {
            self.run(words).ok().filter(|it| it.contains(text))
        })
    }

    /// Waits until an object is not there.
    #[track_caller]
    pub fn wait_gone(&self, words: &[&str]) {
        wait_until(SOON, &format!("kubectl {words:?} finds nothing"), || {
            self.run(words).err().filter(|it| it.contains("NotFound"))
        });
    }
}
