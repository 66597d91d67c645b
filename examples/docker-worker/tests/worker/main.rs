//! The Docker worker on a real engine, which `TEST_DOCKER` names; its queue is one that tests can look into.

#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

mod absent;
mod bench;
mod caches;
mod conformance;
mod devices;
mod docker;
mod dropped;
mod ends;
mod guards;
mod help;
mod hostile;
mod images;
mod kept;
mod large;
mod leftovers;
mod local;
mod login;
mod pages;
mod payload;
mod proxy;
mod room;
mod saved;
mod shared;
mod shell;
mod trust;
