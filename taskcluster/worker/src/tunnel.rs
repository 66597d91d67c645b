//! A way in for viewers of a worker that nobody can reach: it connects out to a tunnel server, and they come in through that.
//!
//! The protocol is that of TaskCluster's websocktunnel. The client opens a websocket to the server, with a token of
//! `auth.websocktunnelToken` and the name under which it waits; the server answers with the URL where viewers find it. Each of
//! their requests becomes a stream over the websocket, with its own room at each end: a viewer that is slow to read holds up nobody
//! else, least of all the task.
//!
//! [`Tunnel::listen`] is the client's end, in place of a TCP listener; [`Opener`] is the server's, of which
//! `examples/tunnel` is one.

mod client;
mod connection;
#[cfg(feature = "testing")]
mod exercise;
mod frame;
mod mux;
mod server;
mod stream;
mod token;

pub use client::{CLIENT_URL, NoConnection, TUNNEL_ID, Tunnel, TunnelError, TunnelListener};
pub use connection::{Cut, Opener, websocket_config};
#[cfg(feature = "testing")]
pub use exercise::exercise;
pub use mux::Violation;
pub use server::TunnelServer;
pub use stream::TunnelStream;
pub use token::{DeploymentTokens, NoToken, TunnelToken, TunnelTokens};
