//! The Docker worker on a real engine, which `TEST_DOCKER` names; its queue is one that tests can look into.

mod bench;
mod caches;
mod conformance;
mod docker;
mod dropped;
mod ends;
mod hostile;
mod images;
mod kept;
mod leftovers;
mod local;
mod payload;
mod proxy;
mod shell;
