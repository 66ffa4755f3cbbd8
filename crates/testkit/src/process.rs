//! A child process that a test holds: its log in a file, its end tied to the test's.
//!
//! Dropping kills it. When the test itself is killed, the process goes too: either because it
//! leaves when its standard input closes, or because a small shell beside it sees the same
//! and kills it. (The kernel's own parent-death signal needs unsafe code, and is tied to the
//! thread that spawned, not to the process.)

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait::{Deadline, poll};

/// What ends the process when its holder dies without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leash {
    /// The process leaves by itself when its standard input closes.
    Stdin,
    /// A shell waits beside it and kills it with SIGKILL.
    Watchdog,
}

/// A running child. See the module for what its end is tied to.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    watchdog: Option<Child>,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with standard output and error going to the file `log`, in a process
    /// group of its own, so that Ctrl-C at a terminal reaches the holder alone.
    pub fn spawn(name: &str, mut command: Command, log: &Path, leash: Leash) -> io::Result<Self> {
        let file = File::create(log)?;
        let stdin = match leash {
            Leash::Stdin => Stdio::piped(),
            Leash::Watchdog => Stdio::null(),
        };
        command.stdin(stdin).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command.spawn()?;
        let mut process = Self {
            name: name.to_owned(),
            child,
            watchdog: None,
            log: log.to_owned(),
            status: None,
        };
        if leash == Leash::Watchdog {
            // From here on a failure drops `process`, which kills the child.
            process.watchdog = Some(watch(process.pid())?);
        }
        Ok(process)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All it has written so far; what is not UTF-8 is replaced.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last `lines` of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                self.release();
            }
        }
        Ok(self.status)
    }

    /// Waits until it has ended by itself; `None` when it still runs after `deadline`.
    pub fn wait_exit(&mut self, deadline: Duration) -> io::Result<Option<ExitStatus>> {
        poll(Deadline::after(deadline), || self.status())
    }

    /// Waits until its log contains `text`.
    ///
    /// # Panics
    /// When it has ended, or `deadline` has passed; the message has the end of the log.
    #[track_caller]
    pub fn wait_log(&mut self, text: &str, deadline: Duration) {
        let found = poll(Deadline::after(deadline), || {
            let ended = self.status()?;
            let found = self.log().contains(text);
            Ok::<_, io::Error>(if found || ended.is_some() { Some(found) } else { None })
        });
        let name = &self.name;
        let tail = self.log_tail(20);
        assert!(
            matches!(found, Ok(Some(true))),
            "{name} did not say {text:?} within {deadline:?}; it ended with:\n{tail}"
        );
    }

    /// SIGTERM: asks it to stop.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal("TERM")
    }

    /// Sends a signal by name (`TERM`, `INT`, `STOP`, ...); nothing happens once it has ended.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        let target = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", signal, &target]).status()?;
        if sent.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("could not send {signal} to {}", self.name)))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        self.status = Some(status);
        self.release();
        Ok(status)
    }

    /// The watchdog goes as soon as its charge is reaped: the number may be given to another.
    fn release(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            // Both fail only where it is gone already.
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it is gone already; the watchdog must go in any case.
        let _ = self.kill();
        self.release();
    }
}

/// A shell that outlives signals at the terminal and waits for our end of the pipe to close.
fn watch(pid: u32) -> io::Result<Child> {
    let script = r#"trap "" INT TERM HUP; read -r _; kill -KILL "$1" 2>/dev/null"#;
    Command::new("sh")
        .args(["-c", script, "kogge-watchdog", &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Whether a process of that number is there, zombies left out.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which stands in parentheses and may contain anything.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;

    fn shell(script: &str, leash: Leash) -> (tempfile::TempDir, Process) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::spawn("shell", command, &dir.path().join("log"), leash).unwrap();
        (dir, process)
    }

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn what_it_says_is_in_its_log_and_its_end_is_known() {
        let (_dir, mut it) = shell("echo out; echo err >&2; exit 3", Leash::Watchdog);
        let status = it.wait_exit(SOON).unwrap().expect("it ends by itself");
        assert_eq!((status.code(), it.log().as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn sigterm_asks_and_the_process_answers() {
        let script = r#"trap "echo bye; exit 0" TERM; echo up; while :; do :; done"#;
        let (_dir, mut it) = shell(script, Leash::Watchdog);
        it.wait_log("up", SOON);
        it.terminate().unwrap();
        let status = it.wait_exit(SOON).unwrap().expect("it was asked to end");
        assert!(status.success() && it.log().ends_with("bye\n"));
    }

    #[test]
    fn dropping_leaves_neither_process_nor_watchdog() {
        for leash in [Leash::Stdin, Leash::Watchdog] {
            let (_dir, it) = shell("exec tail -f /dev/null", leash);
            let mut pids = vec![it.pid()];
            pids.extend(it.watchdog.as_ref().map(Child::id));
            assert!(pids.iter().all(|pid| is_alive(*pid)));
            drop(it);
            assert!(!pids.iter().any(|pid| is_alive(*pid)));
        }
    }

    #[test]
    fn the_watchdog_kills_when_the_pipe_closes() {
        let (_dir, mut it) = shell("exec tail -f /dev/null", Leash::Watchdog);
        // What the death of the holder does: the pipe's only writing end closes.
        drop(it.watchdog.as_mut().expect("asked for").stdin.take());
        wait_until(SOON, "the watchdog kills", || it.status().unwrap());
    }
}
