#![doc = include_str!("../README.md")]

mod config;
mod engine;
mod exit_status;
mod left;

pub use config::{Config, ScriptProgram};
pub use engine::ScriptEngine;
pub use exit_status::Meaning;
