#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod frame;
mod listener;
mod places;
pub mod recent;
mod service;

pub use api::Settings;
pub use service::{EventsService, OpenError, Options};
