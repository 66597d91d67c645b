#![doc = include_str!("../README.md")]

mod api;
mod backend;
pub mod certificates;
mod client;
pub mod config;
pub mod cycles;
mod error;
pub mod expand;
pub mod history;
mod local;
pub mod loops;
mod role;
mod service;
pub mod size;
mod snapshot;
pub mod static_clients;
pub mod store;
pub mod verifier;
mod websocktunnel;

pub use api::{Api, Settings};
pub use backend::{Backend, Switch, Wanted};
pub use client::{Client, Unusable};
pub use error::AuthError;
pub use role::{Role, Roles, ScopeError};
pub use service::{AuthService, OpenError, Options, sealer_for};
pub use service_kit::seal::Sealer;
pub use snapshot::Snapshot;
pub use static_clients::StaticClient;
pub use store::Store;
