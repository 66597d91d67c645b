//! The API, the providers, the program.

mod cloud;
mod local_process;
mod passes;
mod world;
