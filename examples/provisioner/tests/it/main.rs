//! The API, the providers, the program.

#[cfg(feature = "docker")]
mod docker;
mod local_process;
