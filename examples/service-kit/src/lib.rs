#![doc = include_str!("../README.md")]

pub mod blobs;
pub mod bus;
pub mod config;
pub mod data_dir;
pub mod frame;
pub mod outbox;
pub mod pages;
pub mod program;
pub mod service;
pub mod settings;
pub mod shutdown;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
