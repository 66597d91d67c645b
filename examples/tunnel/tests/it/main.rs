//! The server over real sockets: with clients whose frames are written here from the protocol's description, with the SDK's
//! client, and with viewers.

#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

mod frames;
mod letting_in;
mod program;
mod stage;
mod through;
