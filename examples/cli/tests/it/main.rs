//! The built binary from outside: what it says and how it ends.

mod bad_data;
mod bad_input;
mod deployment;
mod fixture;
mod guide;
mod hello;
mod index;
mod postgres;
mod run;
#[cfg(feature = "postgres")]
mod task;
mod up;
mod wait;
