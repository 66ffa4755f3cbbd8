//! Git over ssh, through the `ssh` program as git itself does it: it knows agents, jump hosts and keys of any kind.
//!
//! What it says goes to a file, not to our standard error: it is how a refused key is told from a false host. A
//! remote that falls silent is cut off after the timeout.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix_transport::Protocol;
use gix_transport::client::blocking_io::Transport;
use gix_transport::client::git::{ConnectMode, blocking_io::Connection};
use tempfile::TempDir;

use super::Fault;
use super::wire::Connect;
use crate::error::FetchError;
use crate::remote::{Credentials, Remote};

pub(super) struct Dial {
    /// `ssh`, but for tests.
    program: PathBuf,
    url: gix::Url,
    shown: String,
    credentials: Credentials,
    timeout: Duration,
}

impl Dial {
    pub(super) fn new(url: gix::Url, remote: &Remote) -> Result<Self, FetchError> {
        let bad =
            |reason: &str| FetchError::BadUrl { url: remote.shown(), reason: reason.to_owned() };
        match (url.host_argument_safe(), url.user_argument_safe(), url.user()) {
            (None, ..) => return Err(bad("the host is missing, or starts with a dash")),
            (_, None, Some(_)) => return Err(bad("the user starts with a dash")),
            _ => {}
        }
        if url.path_argument_safe().is_none() {
            return Err(bad("the path starts with a dash"));
        }
        if remote.credentials.identity.as_ref().is_some_and(|it| it.contains("ENCRYPTED")) {
            let reason =
                "identity is encrypted with a passphrase; give a key without one".to_owned();
            return Err(FetchError::BadCredentials { reason });
        }
        Ok(Self {
            program: "ssh".into(),
            url,
            shown: remote.shown(),
            credentials: remote.credentials.clone(),
            timeout: remote.timeout,
        })
    }

    /// The command, its files in `directory`.
    fn command(&self, directory: &Path) -> io::Result<Command> {
        let mut ssh = Command::new(&self.program);
        let mut option = |it: String| {
            ssh.args(["-o", &it]);
        };
        option("BatchMode=yes".to_owned());
        option("LogLevel=ERROR".to_owned());
        option("SendEnv=GIT_PROTOCOL".to_owned());
        option(format!("ConnectTimeout={}", self.timeout.as_secs().max(1)));
        if let Some(identity) = &self.credentials.identity {
            let file = private_file(directory, "identity", identity)?;
            option(format!("IdentityFile={}", quoted(&file)));
            option("IdentitiesOnly=yes".to_owned());
            option("IdentityAgent=none".to_owned());
        }
        if let Some(known_hosts) = &self.credentials.known_hosts {
            let file = private_file(directory, "known_hosts", known_hosts)?;
            option(format!("UserKnownHostsFile={}", quoted(&file)));
            option("GlobalKnownHostsFile=/dev/null".to_owned());
            option("StrictHostKeyChecking=yes".to_owned());
        }
        if let Some(port) = self.url.port {
            ssh.args(["-p", &port.to_string()]);
        }
        let host = self.url.host().unwrap_or_default();
        ssh.arg(self.url.user().map_or_else(|| host.to_owned(), |user| format!("{user}@{host}")));
        let path = gix::url::expand_path::for_shell(self.url.path.clone());
        ssh.arg(format!("git-upload-pack {}", shell_quoted(&path.to_string())));
        ssh.env("GIT_PROTOCOL", "version=2").env_remove("SSH_ASKPASS");
        Ok(ssh)
    }
}

/// Readable by us alone, and gone with its directory. ssh wants a line break at the end of a key.
fn private_file(directory: &Path, name: &str, content: &str) -> io::Result<PathBuf> {
    let path = directory.join(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    writeln!(file, "{}", content.replace("\r\n", "\n").trim_end())?;
    Ok(path)
}

/// As in ssh_config, where a blank would end the name and a percent sign starts a token.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Connect for Dial {
    fn connect(&self, fault: &Fault) -> Result<Box<dyn Transport + Send>, FetchError> {
        let unreachable = |error: io::Error| {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "ssh is not installed here".to_owned(),
                _ => format!("could not start ssh: {error}"),
            };
            FetchError::Unreachable { url: self.shown.clone(), reason }
        };
        let directory = tempfile::tempdir().map_err(unreachable)?;
        let said = directory.path().join("said");
        let errors = fs::File::create(&said).map_err(unreachable)?;
        let mut child = self
            .command(directory.path())
            .and_then(|mut it| {
                it.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn()
            })
            .map_err(unreachable)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(unreachable(io::Error::other("it has no standard input")));
        };
        let child = Arc::new(Mutex::new(child));
        let session = Session {
            watch: watch(Arc::clone(&child), self.timeout, self.shown.clone(), fault.clone()),
            child,
            shown: self.shown.clone(),
            fault: fault.clone(),
            directory,
        };
        let output = Output { stdout, session };
        let path = self.url.path.clone();
        let none: Option<(String, Option<u16>)> = None;
        let connection = Connection::new(
            output,
            Input(stdin),
            Protocol::V2,
            path,
            none,
            ConnectMode::Process,
            false,
        );
        Ok(Box::new(connection.custom_url(Some(self.url.to_bstring()))))
    }
}

/// Ends ssh when nothing was heard of it for `timeout`. A word on the channel means that something was; its end, that it is over.
fn watch(child: Arc<Mutex<Child>>, timeout: Duration, url: String, fault: Fault) -> Sender<()> {
    let (heard, silence) = channel();
    std::thread::spawn(move || {
        loop {
            match silence.recv_timeout(timeout) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let reason = format!("it was silent for {} s", timeout.as_secs());
                    fault.note(FetchError::Unreachable { url, reason });
                    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
                    return;
                }
            }
        }
    });
    heard
}

/// A running ssh; ended with this, and its files gone.
struct Session {
    watch: Sender<()>,
    child: Arc<Mutex<Child>>,
    shown: String,
    fault: Fault,
    directory: TempDir,
}

impl Session {
    /// Why ssh ended, if it did not mean to.
    fn explain(&self) {
        if self.ended().is_some_and(|it| it.success()) {
            return;
        }
        let said = fs::read(self.directory.path().join("said")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        self.fault.note(cause(&self.shown, &said));
    }
}

impl Session {
    /// How it ended: at once, normally, since it closed its output. Not waited for for long, nor under the lock, so
    /// that a remote that hangs can still be cut off.
    fn ended(&self) -> Option<ExitStatus> {
        for _ in 0..50 {
            let ended = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            if let Ok(Some(status)) = ended {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What ssh's, and the remote's, last words mean.
fn cause(url: &str, said: &str) -> FetchError {
    let lines =
        said.lines().map(|it| it.trim().trim_start_matches("remote: ")).filter(|it| !it.is_empty());
    let lines: Vec<&str> = lines.filter(|it| !it.starts_with(['@', '*'])).collect();
    let (url, reason) = (url.to_owned(), lines.join("; "));
    let lower = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| lower.contains(it));
    if says(&[
        "host key verification failed",
        "host identification has changed",
        "no matching host key",
    ]) {
        let reason = format!("{reason}; its key must be in known_hosts (ssh-keyscan prints it)");
        FetchError::HostKey { url, reason }
    } else if says(&[
        "permission denied",
        "too many authentication failures",
        "error in libcrypto",
        "invalid format",
    ]) {
        FetchError::AuthRefused { url, reason }
    } else if says(&["does not appear to be a git", "not found", "does not exist", "no such file"])
        && !says(&["git-upload-pack: not found", "command not found"])
    {
        FetchError::RemoteGone { url, reason }
    } else {
        let reason = if reason.is_empty() { "ssh ended without a word".to_owned() } else { reason };
        FetchError::Unreachable { url, reason }
    }
}

/// What the remote sends. Its end, where more was expected, is explained by what ssh said.
struct Output {
    stdout: ChildStdout,
    session: Session,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = self.session.watch.send(());
        let read = self.stdout.read(buffer);
        if matches!(read, Ok(0) | Err(_)) && !buffer.is_empty() {
            self.session.explain();
        }
        read
    }
}

struct Input(ChildStdin);

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::wire::Wire;
    use super::super::{Origin, Source};
    use super::*;
    use crate::write::{Author, init_with};

    /// Does on this machine what it is asked to do on another, as sshd does.
    const OBEYS: &str = "for it; do last=$it; done; exec sh -c \"$last\"";

    /// A repository, and a program in ssh's place that runs `script`.
    struct Faked {
        place: TempDir,
        wire: Wire,
        store: gix::Repository,
        commit: String,
    }

    fn faked(script: &str, credentials: Credentials) -> Faked {
        let place = tempfile::tempdir().unwrap();
        let origin = place.path().join("or'igin");
        let author = Author { name: "a".to_owned(), email: "b".to_owned() };
        let time = Timestamp::from_second(1).unwrap();
        let commit = init_with(&origin, &[("a.yaml", "a: 1\n")], "x", &author, time).unwrap();
        let program = place.path().join("ssh");
        // Written by another process: what we have open for writing, a fork of another test would hold open.
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh").args(["-c", write]).arg(&program).arg(script).status();
        assert!(written.unwrap().success());
        let remote = Remote {
            credentials,
            timeout: Duration::from_secs(1),
            ..Remote::new(format!("ssh://git@example.com{}", origin.display()))
        };
        let url = remote.parsed().unwrap();
        let dial = Dial { program, ..Dial::new(url.clone(), &remote).unwrap() };
        let wire = Wire::new(&remote, url, Box::new(dial));
        let store = gix::init_bare(place.path().join("store")).unwrap();
        Faked { place, wire, store, commit }
    }

    fn has_git() -> bool {
        let found =
            Command::new("git").arg("--version").output().is_ok_and(|it| it.status.success());
        if !found {
            eprintln!("SKIPPED: git is not installed");
        }
        found
    }

    #[test]
    fn git_speaks_through_the_program() {
        if !has_git() {
            return;
        }
        let faked = faked(OBEYS, Credentials::default());
        let listed = faked.wire.references(&faked.store, "refs/heads/").unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (listed[0].name.as_str(), listed[0].commit.to_string()),
            ("refs/heads/main", faked.commit)
        );
        faked.wire.bring(&faked.store, &Source::Reference("refs/heads/main")).unwrap();
        assert!(faked.store.find_commit(listed[0].commit).is_ok());
    }

    #[test]
    fn keys_are_private_and_gone_afterwards_and_hosts_are_checked() {
        if !has_git() {
            return;
        }
        let credentials = Credentials {
            identity: Some("-----KEY-----\r\nx".to_owned()),
            known_hosts: Some("example.com ssh-ed25519 AAAA".to_owned()),
            ..Credentials::default()
        };
        let script = format!(
            "for it; do case $it in IdentityFile=*) key=$(echo $it | cut -d'\"' -f2);; esac; done
             (echo \"$@\"; ls -l \"$key\"; cat \"$key\"; echo \"$key\") > \"$(dirname $0)/seen\"
             {OBEYS}"
        );
        let faked = faked(&script, credentials);
        faked.wire.references(&faked.store, "refs/heads/").unwrap();
        let seen = fs::read_to_string(faked.place.path().join("seen")).unwrap();
        for expected in
            ["StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "git@example.com"]
        {
            assert!(seen.contains(expected), "{expected} in {seen}");
        }
        assert!(seen.contains("-rw-------") && seen.contains("-----KEY-----\nx\n"), "{seen}");
        let key = seen.lines().last().unwrap();
        assert!(key.ends_with("identity") && !Path::new(key).exists(), "{key}");
    }

    #[test]
    fn a_refusal_and_a_silence_are_told_apart() {
        let refused = faked(
            "echo 'git@h: Permission denied (publickey).' >&2; exit 255",
            Credentials::default(),
        );
        let error = refused.wire.references(&refused.store, "refs/heads/").unwrap_err();
        assert!(matches!(error, FetchError::AuthRefused { .. }), "{error:?}");
        let silent = faked("exec sleep 600", Credentials::default());
        let error = silent.wire.references(&silent.store, "refs/heads/").unwrap_err();
        assert!(
            matches!(&error, FetchError::Unreachable { reason, .. } if reason.contains("silent for 1 s")),
            "{error:?}"
        );
        let gone = faked(OBEYS, Credentials::default());
        fs::remove_dir_all(gone.place.path().join("or'igin")).unwrap();
        if has_git() {
            let error = gone.wire.references(&gone.store, "refs/heads/").unwrap_err();
            assert!(matches!(error, FetchError::RemoteGone { .. }), "{error:?}");
        }
    }

    #[test]
    fn last_words_are_understood() {
        let kind = |said| match cause("u", said) {
            FetchError::HostKey { .. } => "host key",
            FetchError::AuthRefused { .. } => "refused",
            FetchError::RemoteGone { .. } => "gone",
            FetchError::Unreachable { .. } => "unreachable",
            other => panic!("{other}"),
        };
        let table = [
            (
                "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
                "host key",
            ),
            ("git@h: Permission denied (publickey).", "refused"),
            (
                "Load key \"/tmp/x\": error in libcrypto\ngit@h: Permission denied (publickey).",
                "refused",
            ),
            ("ssh: Could not resolve hostname h: Name or service not known", "unreachable"),
            ("ssh: connect to host h port 22: Connection refused", "unreachable"),
            ("fatal: '/x' does not appear to be a git repository", "gone"),
            ("remote: ERROR: Repository not found.", "gone"),
            ("sh: git-upload-pack: not found", "unreachable"),
            ("", "unreachable"),
        ];
        for (said, expected) in table {
            assert_eq!(kind(said), expected, "{said}");
        }
    }

    #[test]
    fn what_ssh_could_take_for_an_option_is_refused() {
        for url in ["ssh://-oProxyCommand=x/y", "ssh://-u@h/y"] {
            let remote = Remote::new(url);
            let refused = remote.parsed().and_then(|url| Dial::new(url, &remote).map(drop));
            assert!(matches!(refused, Err(FetchError::BadUrl { .. })), "{url}: {refused:?}");
        }
    }
}
