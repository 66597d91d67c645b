#![doc = include_str!("../README.md")]

mod api;
pub mod choose;
pub mod config;
pub mod decide;
mod error;
pub mod fleet;
pub mod instance;
pub mod life;
mod loops;
mod messages;
mod observe;
mod passes;
pub mod policy;
pub mod provider;
mod recorder;
mod service;
pub mod simulate;
pub mod store;
pub mod tokens;
pub mod worker_type;

pub use service::{Options, ProvisionerService};
pub use store::sealer_for;
