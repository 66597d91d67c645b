#![doc = include_str!("../README.md")]

mod bridge;
mod buildbot;
mod config;
mod engine;
mod follow;
mod order;
mod payload;
mod results;
mod sweep;
mod transcript;
mod verdict;
mod watch;

pub use bridge::Bridge;
pub use buildbot::{Buildbot, BuildbotError, Login};
pub use config::{BridgeProgram, Config};
pub use engine::BuildbotEngine;
pub use verdict::BuildVerdict;
