//! One network namespace, held by a process that ends when its standard input closes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    process::{Leash, Process},
    wait::{Deadline, poll},
};

const SOON: Duration = Duration::from_secs(10);

pub(super) struct Namespace {
    holder: Process,
}

impl Namespace {
    /// A new one in which only loopback is up; what goes wrong is written to `log`.
    pub fn new(log: &Path) -> io::Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]);
        let mut holder = Process::spawn("namespace", command, log, Leash::Stdin)?;
        let ours = fs::read_link("/proc/self/ns/net")?;
        let theirs = path(holder.pid());
        poll(Deadline::after(SOON), || {
            if holder.status()?.is_some() {
                return Err(io::Error::other(holder.log()));
            }
            Ok(fs::read_link(&theirs).ok().filter(|it| *it != ours))
        })?
        .ok_or_else(|| io::Error::other("unshare made no namespace"))?;
        let it = Self { holder };
        // Here only those speak that a test has speak; IPv6 announces itself on each new device.
        if Path::new("/proc/sys/net/ipv6").exists() {
            it.set("net/ipv6/conf/all/disable_ipv6", "1")?;
            it.set("net/ipv6/conf/default/disable_ipv6", "1")?;
        }
        it.ip("link set lo up\n")?;
        Ok(it)
    }

    pub fn pid(&self) -> u32 {
        self.holder.pid()
    }

    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", path(self.pid()).display())).arg(program);
        command
    }

    /// Waits until a device carries: after `up` the kernel drops what is sent for a moment.
    pub fn until_up(&self, device: &str) -> io::Result<()> {
        let line = format!("link show dev {device}\n");
        poll(Deadline::after(SOON), || {
            self.ip(&line).map(|said| said.contains(" state UP ").then_some(()))
        })?
        .ok_or_else(|| io::Error::other(format!("{device} does not come up")))
    }

    /// Lines for `ip`, done there in their order, and what it says to them.
    pub fn ip(&self, lines: &str) -> io::Result<String> {
        let mut command = self.command(Path::new("ip"));
        command.args(["-batch", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().expect("it is piped").write_all(lines.as_bytes())?;
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// A kernel's setting, by its path below `/proc/sys`.
    pub fn set(&self, path: &str, value: &str) -> io::Result<()> {
        self.inside(|| fs::write(Path::new("/proc/sys").join(path), value))
    }

    /// Does something on a thread that is there: sockets stay where they were made.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let door = self.door()?;
        thread::scope(|scope| {
            let entered = scope.spawn(move || {
                door.enter()?;
                act()
            });
            entered.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
        })
    }

    pub fn door(&self) -> io::Result<Door> {
        File::open(path(self.pid())).map(Door)
    }
}

/// The way into a namespace, for a thread that stays.
pub(super) struct Door(File);

impl Door {
    /// Moves this thread, and no other, into the namespace.
    pub fn enter(&self) -> io::Result<()> {
        let network = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(self.0.as_fd(), network)?)
    }
}

fn path(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}
