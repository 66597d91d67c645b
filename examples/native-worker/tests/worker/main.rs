//! Real processes under a whole worker, against a queue over HTTP.

#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

mod bench;
mod caches;
mod commands;
mod ends;
mod groups;
mod help;
mod hostile;
mod isolation;
mod large;
mod local;
mod mounts;
mod privileges;
mod processes;
mod proxy;
mod resources;
mod shell;
mod users;
