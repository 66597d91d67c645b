#![doc = include_str!("../README.md")]

mod builder;
mod config;
mod layers;
mod local;
mod program;

pub use builder::payload_schema;
pub use config::{Base, WorkerConfig};
pub use layers::load;
pub use program::{Program, main};
