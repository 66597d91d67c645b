//! The API, the providers, the program.

mod local_process;
