#![doc = include_str!("../README.md")]

mod config;
mod layers;
mod local;
mod program;

pub use config::{Base, WorkerConfig};
pub use layers::load;
pub use program::{Program, main};
