#![doc = include_str!("../README.md")]

mod clients;
pub mod config;
mod register;
mod service;
pub mod token;
mod viewer;

pub use service::{Options, TunnelService};
