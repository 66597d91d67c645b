//! Real processes under a whole worker, against a queue over HTTP.

mod bench;
mod caches;
mod commands;
mod ends;
mod groups;
mod hostile;
mod isolation;
mod local;
mod mounts;
mod processes;
mod proxy;
mod resources;
mod shell;
mod users;
