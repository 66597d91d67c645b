#![doc = include_str!("../README.md")]

pub mod api;
pub mod artifact;
pub mod config;
pub mod definition;
mod error;
pub mod group;
pub mod loops;
pub mod messages;
mod objects;
mod service;
pub mod store;
pub mod task;
pub mod waiters;
mod wire;
pub mod worker;

pub use api::{Api, Settings};
pub use service::{OpenError, Options, QueueService};
pub use store::Store;
