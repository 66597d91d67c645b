#![doc = include_str!("../README.md")]

pub mod choose;
pub mod decide;
pub mod instance;
pub mod life;
pub mod policy;
pub mod provider;
pub mod worker_type;
