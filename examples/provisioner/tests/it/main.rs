//! The API, the providers, the program.

mod cloud;
#[cfg(feature = "docker")]
mod docker;
mod local_process;
mod passes;
mod world;
