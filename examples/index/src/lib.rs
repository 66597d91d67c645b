#![doc = include_str!("../README.md")]

mod api;
pub mod config;
pub mod entry;
mod error;
pub mod finished;
mod loops;
pub mod path;
mod service;
pub mod store;
mod tap;

pub use service::{IndexService, Options};
