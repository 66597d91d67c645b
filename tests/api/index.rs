//! The index over the network.

mod artifacts;
mod entries;
mod routes;
