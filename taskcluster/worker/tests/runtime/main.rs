//! The runtime against a queue over real HTTP: what ends how.

mod bench;
mod caches;
mod claims;
mod ends;
mod logs;
mod oversight;
mod payloads;
mod stops;
