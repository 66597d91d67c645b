#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod draw;
mod error;
pub mod graph;
mod loops;
mod messages;
pub mod node;
mod service;
pub mod store;
pub mod submission;
mod submit;

pub use service::{Options, SCHEDULER_ID, SchedulerService};
