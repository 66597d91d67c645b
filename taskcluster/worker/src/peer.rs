//! Who is at the other end of a connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

use crate::engine::Visitors;

/// Who has connected, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visitor {
    peer: Peer,
    from: IpAddr,
    /// The address of ours that was called.
    door: Option<IpAddr>,
}

impl Visitor {
    /// Whether this may be one of those.
    pub(crate) fn may_be(&self, visitors: Visitors) -> bool {
        match visitors {
            Visitors::User(uid) => self.peer.may_be(uid),
            Visitors::Network { address, prefix } => {
                let (IpAddr::V4(from), Some(door)) = (self.from, self.door) else { return false };
                // The machine itself calls from the very address that it is called at.
                in_network(from, address, prefix) && self.from != door
            }
            Visitors::Anybody => true,
        }
    }
}

fn in_network(address: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    (address.to_bits() ^ network.to_bits()) & mask == 0
}

/// Whose process has connected. Found out when the connection is accepted: later its socket may have lost its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A process of this user.
    User(u32),
    /// Somebody who is gone already, or who has hidden.
    Nobody,
    /// The system does not tell.
    Unknown,
}

impl Peer {
    /// Whether this may be a process of that user.
    pub(crate) fn may_be(self, uid: u32) -> bool {
        match self {
            Self::User(user) => user == uid,
            Self::Nobody => false,
            Self::Unknown => true,
        }
    }

    /// Whether the system tells who connects to a listener of ours, which it does if it tells of the listener itself.
    pub(crate) fn is_told_at(ours: SocketAddr) -> bool {
        let SocketAddr::V4(ours) = ours else { return false };
        let listener = hex(ours);
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        table.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some(&listener))
    }

    /// The owner of the socket that is bound to `theirs` and connected to `ours`.
    fn of(theirs: SocketAddr, ours: SocketAddr) -> Self {
        let (SocketAddr::V4(theirs), SocketAddr::V4(ours)) = (theirs, ours) else { return Self::Unknown };
        // A client may use a socket that takes both kinds of addresses; then it stands in the second table.
        let tables = [("/proc/net/tcp", ""), ("/proc/net/tcp6", &*mapped_prefix())];
        let mut told = false;
        for (table, prefix) in tables {
            let Ok(text) = std::fs::read_to_string(table) else { continue };
            told = true;
            if let Some(uid) = owner(&text, &format!("{prefix}{}", hex(theirs)), &format!("{prefix}{}", hex(ours))) {
                return Self::User(uid);
            }
        }
        if told { Self::Nobody } else { Self::Unknown }
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Visitor {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let theirs = *stream.remote_addr();
        let ours = stream.io().local_addr().ok();
        let peer = ours.map_or(Peer::Nobody, |ours| Peer::of(theirs, ours));
        Self { peer, from: theirs.ip(), door: ours.map(|ours| ours.ip()) }
    }
}

/// The user in the line of the kernel's table that has these addresses.
fn owner(table: &str, local: &str, remote: &str) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let matches = fields.next() == Some(local) && fields.next() == Some(remote);
        if matches { fields.nth(4)?.parse().ok() } else { None }
    })
}

/// An address as the kernel's table has it: the bytes as a number of this machine, the port as it is.
fn hex(address: SocketAddrV4) -> String {
    format!("{:08X}:{:04X}", native(*address.ip()), address.port())
}

/// What stands before an IPv4 address that is written as an IPv6 one.
fn mapped_prefix() -> String {
    format!("{:016X}{:08X}", 0, native(Ipv4Addr::new(0, 0, 0xff, 0xff)))
}

fn native(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    #[test]
    fn the_owner_is_found_for_both_kinds_of_sockets() {
        let own = rustix::process::geteuid().as_raw();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        let direct = TcpStream::connect(ours).unwrap();
        if !Peer::is_told_at(ours) {
            println!("skipped: this system does not tell who connects");
            return;
        }
        assert_eq!(Peer::of(direct.local_addr().unwrap(), ours), Peer::User(own));

        let mapped = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), ours.port()));
        // A machine without IPv6 has no such sockets.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            let _direct = listener.accept().unwrap();
            let dual = TcpStream::connect(mapped).unwrap();
            let (_, theirs) = listener.accept().unwrap();
            assert_eq!(Peer::of(theirs, ours), Peer::User(own));
            drop(dual);
        }
    }

    #[test]
    fn a_network_has_everybody_but_the_door_itself() {
        let visitors = Visitors::Network { address: Ipv4Addr::new(172, 20, 0, 1), prefix: 16 };
        let from = |from: [u8; 4]| {
            let (from, door) = (IpAddr::from(from), Some(IpAddr::from([172, 20, 0, 1])));
            Visitor { peer: Peer::Unknown, from, door }.may_be(visitors)
        };
        assert!(from([172, 20, 0, 2]) && from([172, 20, 255, 254]));
        assert!(!from([172, 20, 0, 1]) && !from([172, 21, 0, 2]) && !from([127, 0, 0, 1]));
        assert!(in_network([1, 2, 3, 4].into(), [9, 9, 9, 9].into(), 0));
        assert!(!in_network([1, 2, 3, 4].into(), [1, 2, 3, 5].into(), 32));
    }

    #[test]
    fn nobody_is_not_a_user() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = listener.local_addr().unwrap();
        if Peer::is_told_at(ours) {
            assert_eq!(Peer::of(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), ours), Peer::Nobody);
        }
        assert!(!Peer::is_told_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        assert!(!Peer::Nobody.may_be(0) && Peer::Unknown.may_be(0) && !Peer::User(7).may_be(0));
    }
}
