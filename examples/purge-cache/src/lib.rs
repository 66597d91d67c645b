#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod error;
mod expiry;
pub mod request;
mod service;
pub mod store;

pub use service::{Options, PurgeCacheService};
