//! Buildbot as it is seen from outside: its REST interface to ask and to order, its websocket to hear that there is something new.

mod client;
mod ears;
mod model;
mod tls;

pub use client::{Buildbot, BuildbotError, Login};
pub(crate) use ears::Ears;
pub(crate) use model::{Build, BuildRequest, Log, Results, Scheduler, Step};
