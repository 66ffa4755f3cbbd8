//! Where a member says that others dial it.

use std::net::{Ipv6Addr, SocketAddr};

use kogge_gossip::Head;

use crate::identity::Identity;

/// A head with what only the node knows of itself: who it is, and where others dial it, if it
/// listens.
pub(crate) fn completed(
    mut head: Head,
    of: &Identity,
    advertise: &[String],
    listens: Option<SocketAddr>,
) -> Head {
    head.uid = of.uid;
    head.credential.clone_from(&of.issued.credential);
    head.addresses.clear();
    if let Some(address) = listens {
        head.addresses.extend(advertise.iter().map(|it| with_port(it, address.port())));
        if head.addresses.is_empty() && !address.ip().is_unspecified() {
            head.addresses.push(address.to_string());
        }
    }
    head.dialable = !head.addresses.is_empty();
    head
}

/// `host:port` from what may be only a host, an IPv6 address included.
fn with_port(host: &str, port: u16) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        return format!("[{host}]:{port}");
    }
    let has_port = host.rsplit_once(':').is_some_and(|it| it.1.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_host_gets_the_port_where_it_listens() {
        for (host, want) in [
            ("hub.example", "hub.example:7"),
            ("hub.example:9", "hub.example:9"),
            ("10.0.0.1", "10.0.0.1:7"),
            ("::1", "[::1]:7"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(with_port(host, 7), want);
        }
    }
}
