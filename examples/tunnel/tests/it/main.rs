//! The server over real sockets: with clients whose frames are written here from the protocol's description, with the SDK's
//! client, and with viewers.

mod frames;
mod letting_in;
mod program;
mod stage;
mod through;
