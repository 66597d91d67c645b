//! The service as a whole: its API, the program.

mod api;
mod program;
