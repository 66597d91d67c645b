#![doc = include_str!("../README.md")]

mod belongings;
mod builder;
mod caches;
pub mod config;
mod container;
mod devices;
mod docker;
mod doctor;
mod engine;
mod gpus;
mod image;
mod leftovers;
mod network;
mod payload;
mod pipe;
mod privileges;
mod processors;
mod results;
mod save;
mod shell;
mod stay;

pub use builder::{DockerWorker, DockerWorkerError};
pub use caches::Caches;
pub use devices::Devices;
pub use engine::{DockerEngine, Limits, Options};
pub use gpus::{Gpus, NoGpus};
pub use image::Registry;
pub use privileges::Allowed;
pub use taskcluster_worker::Shutdown;
