#![doc = include_str!("../README.md")]

mod builder;
mod command;
mod config;
mod doctor;
mod layers;
mod local;
mod notices;
mod program;
mod provisioned;
pub mod terminal;
#[cfg(feature = "testing")]
pub mod testing;

pub use builder::{entrance, payload_schema};
pub use config::{Base, GuardConfig, PlaceConfig, ShellConfig, WorkerConfig};
pub use doctor::Examination;
pub use layers::load;
pub use notices::Notices;
pub use program::{Program, main, main_as};
pub use provisioned::UserDataSource;
