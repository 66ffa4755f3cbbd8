//! Hosts on a network of their own, each a network namespace, with a router between them.
//!
//! Faults are rules of the router: it drops without a word, as a firewall or a bad cable does. A
//! namespace has no name that could be left behind; it lives as long as a process that holds it, or
//! one that runs in it. Needs root, and `unshare`, `nsenter` and `ip` of util-linux and iproute2.
//!
//! Reading order: this file, `namespace`, `relay` (delay and loss, which rules cannot do).

mod namespace;
mod relay;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    process::Command,
};

use self::namespace::Namespace;
pub use self::relay::{Relay, Weather};

/// The router's address towards each host.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

/// A metered host's device for UDP, and the table of routes that lead to it.
const METER: &str = "udp0";
const UDP: u8 = 77;

/// An Ethernet frame's header, which devices count.
const ETHERNET: u64 = 14;

/// A network of its own; nothing outside reaches in or is reached from it.
pub struct Network {
    router: Namespace,
    hosts: u8,
    dir: tempfile::TempDir,
}

/// A host: programs run there, listeners of this process stand there.
pub struct Host {
    namespace: Namespace,
    address: Ipv4Addr,
}

/// Bytes of UDP, IP headers included, that a host has exchanged with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    pub sent: u64,
    pub received: u64,
    /// Sent ones.
    pub datagrams: u64,
}

/// What the router does not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything from the first to the second host.
    OneWay(Ipv4Addr, Ipv4Addr),
    /// UDP from and to a host.
    Udp(Ipv4Addr),
}

impl Network {
    /// A network without hosts, or `None` for a test to return: see [`crate::skip::unless`].
    #[track_caller]
    pub fn or_skip() -> Option<Self> {
        let made = Self::new().inspect_err(|error| eprintln!("no network namespace: {error}"));
        let missing = "no network namespaces here; they need root, unshare, nsenter and ip";
        crate::skip::unless(made.ok(), missing)
    }

    fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let router = Namespace::new(&dir.path().join("router"))?;
        router.set("net/ipv4/ip_forward", "1")?;
        Ok(Self { router, hosts: 0, dir })
    }

    /// One more host; the first has address 10.77.0.1.
    ///
    /// # Errors
    /// If a command fails, or there are 250 hosts already.
    pub fn host(&mut self) -> io::Result<Host> {
        if self.hosts == 250 {
            return Err(io::Error::other("a network has 250 hosts at most"));
        }
        self.hosts += 1;
        let address = Ipv4Addr::new(10, 77, 0, self.hosts);
        let namespace = Namespace::new(&self.dir.path().join(address.to_string()))?;
        let (port, pid) = (port(address), namespace.pid());
        self.router.ip(&format!(
            "link add {port} type veth peer name eth0 netns {pid}\n\
             addr add {ROUTER} peer {address} dev {port}\n\
             link set {port} up\n"
        ))?;
        namespace.ip(&format!(
            "addr add {address} peer {ROUTER} dev eth0\n\
             link set eth0 up\n\
             route add default via {ROUTER}\n"
        ))?;
        self.router.until_up(&port)?;
        namespace.until_up("eth0")?;
        Ok(Host { namespace, address })
    }

    /// Gives UDP from and to a host a cable of its own, whose bytes [`Host::metered`] says.
    pub fn meter(&self, host: &Host) -> io::Result<()> {
        let (address, pid) = (host.address, host.namespace.pid());
        let cable = format!("meter{}", address.octets()[3]);
        // Answers come by another device than the one that main routes to.
        host.namespace.set("net/ipv4/conf/all/rp_filter", "0")?;
        self.router.set("net/ipv4/conf/all/rp_filter", "0")?;
        self.router.ip(&format!(
            "link add {cable} type veth peer name {METER} netns {pid}\n\
             link set {cable} up\n\
             route add {address} dev {cable} table {UDP}\n\
             rule add ipproto udp to {address} lookup {UDP}\n"
        ))?;
        host.namespace.ip(&format!(
            "link set {METER} up\n\
             route add default via {ROUTER} dev {METER} onlink table {UDP}\n\
             rule add ipproto udp lookup {UDP}\n"
        ))?;
        self.router.until_up(&cable)?;
        host.namespace.until_up(METER)
    }

    /// From now on the router drops what `fault` says.
    pub fn block(&self, fault: Fault) -> io::Result<()> {
        self.rules("add", fault)
    }

    /// Takes a fault back.
    pub fn mend(&self, fault: Fault) -> io::Result<()> {
        self.rules("del", fault)
    }

    fn rules(&self, verb: &str, fault: Fault) -> io::Result<()> {
        self.router.ip(&match fault {
            Fault::OneWay(from, to) => {
                format!("rule {verb} from {from} to {to} blackhole\n")
            }
            Fault::Udp(host) => format!(
                "rule {verb} ipproto udp from {host} blackhole\n\
                 rule {verb} ipproto udp to {host} blackhole\n"
            ),
        })?;
        Ok(())
    }

    /// Relays UDP and TCP at the router, one address for each of `targets`, in their order.
    pub fn relay(&self, targets: &[SocketAddr], seed: u64) -> io::Result<(Relay, Vec<SocketAddr>)> {
        let addresses: Vec<SocketAddr> = (20_000..)
            .map(|port| SocketAddrV4::new(ROUTER, port).into())
            .take(targets.len())
            .collect();
        let routes = addresses.iter().copied().zip(targets.iter().copied()).collect();
        Ok((Relay::start(self.router.door()?, routes, seed)?, addresses))
    }
}

impl Host {
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs there; the process keeps its number when it is replaced by `program`.
    pub fn command(&self, program: &Path) -> Command {
        self.namespace.command(program)
    }

    /// A connection of this process from there.
    pub fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.namespace.inside(|| TcpStream::connect(address))
    }

    /// What UDP has carried, where [`Network::meter`] was asked before.
    pub fn metered(&self) -> io::Result<Metered> {
        let devices = fs::read_to_string(format!("/proc/{}/net/dev", self.namespace.pid()))?;
        let line = devices.lines().find_map(|it| it.trim().strip_prefix(&format!("{METER}:")));
        let line = line.ok_or_else(|| io::Error::other("the host is not metered"))?;
        let fields: Vec<u64> = line.split_whitespace().map_while(|it| it.parse().ok()).collect();
        // Bytes and packets received, six fields more, bytes and packets sent.
        let [received, packets, _, _, _, _, _, _, sent, datagrams, ..] = fields[..] else {
            return Err(io::Error::other(format!("unknown counters: {line}")));
        };
        let less = |bytes: u64, packets: u64| bytes.saturating_sub(packets * ETHERNET);
        Ok(Metered { sent: less(sent, datagrams), received: less(received, packets), datagrams })
    }

    /// A listener of this process that stands there.
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.namespace.inside(|| TcpListener::bind(address))
    }
}

/// The router's device towards a host.
fn port(host: Ipv4Addr) -> String {
    format!("host{}", host.octets()[3])
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        time::Duration,
    };

    use super::*;

    fn two() -> Option<(Network, Host, Host)> {
        let mut network = Network::or_skip()?;
        let (a, b) = (network.host().unwrap(), network.host().unwrap());
        Some((network, a, b))
    }

    fn at(host: &Host) -> SocketAddr {
        SocketAddrV4::new(host.address(), 7).into()
    }

    fn reaches(from: &Host, to: SocketAddr) -> bool {
        let wait = Duration::from_millis(300);
        from.namespace.inside(|| TcpStream::connect_timeout(&to, wait)).is_ok()
    }

    /// The datagrams that it took for one to come: where it is allowed, it may be late or lost.
    fn udp_in(from: &Host, to: &Host, by: Option<SocketAddr>) -> u64 {
        let sent = (1..=30).find(|_| udp(from, to, by) == Some(7));
        sent.expect("none of 30 datagrams came")
    }

    /// The datagram's length as it comes, if it comes.
    fn udp(from: &Host, to: &Host, by: Option<SocketAddr>) -> Option<usize> {
        let server = to.namespace.inside(|| std::net::UdpSocket::bind(at(to))).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let client = from.namespace.inside(|| std::net::UdpSocket::bind("0.0.0.0:0")).unwrap();
        client.send_to(b"seven b", by.unwrap_or(at(to))).unwrap();
        server.recv_from(&mut [0; 100]).ok().map(|it| it.0)
    }

    #[test]
    fn hosts_reach_each_other_except_where_a_fault_forbids() {
        let Some((network, a, b)) = two() else { return };
        let _listener = b.listen(at(&b)).unwrap();
        assert!(reaches(&a, at(&b)));
        udp_in(&a, &b, None);
        for fault in
            [Fault::OneWay(a.address(), b.address()), Fault::OneWay(b.address(), a.address())]
        {
            network.block(fault).unwrap();
            assert!(!reaches(&a, at(&b)), "{fault:?}");
            network.mend(fault).unwrap();
        }
        network.block(Fault::OneWay(b.address(), a.address())).unwrap();
        udp_in(&a, &b, None);
        assert_eq!(udp(&b, &a, None), None);
        network.mend(Fault::OneWay(b.address(), a.address())).unwrap();
        network.block(Fault::Udp(a.address())).unwrap();
        assert!(reaches(&a, at(&b)));
        assert_eq!((udp(&a, &b, None), udp(&b, &a, None)), (None, None));
        network.mend(Fault::Udp(a.address())).unwrap();
        udp_in(&b, &a, None);
    }

    #[test]
    fn a_meter_counts_udp_and_nothing_else() {
        let Some((network, a, b)) = two() else { return };
        assert!(a.metered().is_err());
        network.meter(&a).unwrap();
        let _listener = b.listen(at(&b)).unwrap();
        assert!(reaches(&a, at(&b)));
        let before = a.metered().unwrap();
        let datagrams = udp_in(&a, &b, None);
        let sent = a.metered().unwrap().sent - before.sent;
        // 7 and 28 of headers each; beside them at most the question for the router's address.
        assert!((35..=35 * datagrams + 28).contains(&sent), "{sent} for {datagrams}");
        udp_in(&b, &a, None);
        assert!(before.received + 35 <= a.metered().unwrap().received);
    }

    #[test]
    fn a_network_is_out_of_reach_and_goes_with_its_holder() {
        let Some((network, a, b)) = two() else { return };
        let listener = b.listen(at(&b)).unwrap();
        // Outside, something else may answer at that address.
        drop(TcpStream::connect_timeout(&at(&b), Duration::from_millis(300)));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
        let holders = [network.router.pid(), a.namespace.pid(), b.namespace.pid()];
        drop((network, a, b));
        assert!(!holders.into_iter().any(crate::process::is_alive));
    }

    #[test]
    fn a_relay_carries_delays_and_loses() {
        let Some((network, a, b)) = two() else { return };
        let (relay, addresses) = network.relay(&[at(&b)], 1).unwrap();
        udp_in(&a, &b, Some(addresses[0]));
        let listener = b.listen(at(&b)).unwrap();
        let delay = (Duration::from_millis(50), Duration::from_millis(60));
        relay.set(Weather { delay, loss_percent: 0 });
        let mut stream = a.namespace.inside(|| TcpStream::connect(addresses[0])).unwrap();
        let started = crate::wait::Deadline::after(Duration::from_millis(50));
        stream.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        listener.accept().unwrap().0.read_exact(&mut heard).unwrap();
        assert!(started.is_over() && heard == *b"hello");
        relay.set(Weather { loss_percent: 100, ..Weather::default() });
        assert_eq!(udp(&a, &b, Some(addresses[0])), None);
    }
}
