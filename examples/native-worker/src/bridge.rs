//! `taskclusterProxyInterface`: from where a task calls its proxy.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use taskcluster_worker::engine::{Door, Visitors};
use taskcluster_worker::error::{Error, Result};
use tokio::net::TcpListener;

/// A door at the address that this machine has on a bridge, for containers of the task.
///
/// Containers of everybody are on that bridge, and no user of the machine stands behind their connections: the task is told by its
/// secret alone.
pub(crate) async fn door(bridge: &str) -> Result<Door> {
    let Some(address) = address_on(bridge) else {
        return Err(Error::payload(format!(
            "payload/taskclusterProxyInterface: this machine has no network interface {bridge:?}"
        )));
    };
    let failed = |error| Error::worker_caused(format!("cannot listen on {address}, which is {bridge}"), error);
    let listener = TcpListener::bind((address, 0)).await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    Ok(Door::new(listener, url, Visitors::Anybody))
}

/// This machine's IPv4 address on a network interface.
fn address_on(interface: &str) -> Option<Ipv4Addr> {
    let neighbour = network_of(&std::fs::read_to_string("/proc/net/route").ok()?, interface)?;
    // Nothing is sent: the system only says from where it would be.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((neighbour, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The first address of the network that an interface is in, given the kernel's table of routes.
fn network_of(routes: &str, interface: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // The bytes as a number of this machine.
        let address = |at: usize| Some(Ipv4Addr::from(u32::from_str_radix(fields.get(at)?, 16).ok()?.to_ne_bytes()));
        let (destination, gateway) = (address(1)?, address(2)?);
        let direct = *fields.first()? == interface && gateway.is_unspecified() && !destination.is_unspecified();
        direct.then(|| Ipv4Addr::from(destination.to_bits() | 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_found_among_the_routes() {
        let line = |interface: &str, to: [u8; 4], by: [u8; 4]| {
            let [to, by] = [to, by].map(u32::from_ne_bytes);
            format!("{interface}\t{to:08X}\t{by:08X}\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n")
        };
        let routes = [
            "Iface\tDestination\tGateway\n".to_owned(),
            line("eth0", [0, 0, 0, 0], [192, 0, 2, 1]),
            line("docker0", [10, 9, 0, 0], [172, 17, 0, 9]),
            line("docker0", [172, 17, 0, 0], [0, 0, 0, 0]),
        ]
        .concat();
        assert_eq!(network_of(&routes, "docker0"), Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(network_of(&routes, "eth0"), None);
        assert_eq!(network_of(&routes, "docker"), None);
    }

    #[test]
    fn an_interface_that_is_not_there_has_no_address() {
        assert_eq!(address_on("no-such-bridge"), None);
    }
}
