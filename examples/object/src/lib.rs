#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod error;
mod expiry;
pub mod object;
mod service;
pub mod store;

pub use expiry::LINGER;
pub use service::{ObjectService, Options};
