//! The built binary from outside: what it says and how it ends.

mod action;
mod api;
mod bad_data;
mod bad_input;
mod by_hand;
mod client;
mod deployment;
mod docker;
mod fixture;
mod guide;
mod hello;
mod help;
mod index;
mod json;
mod official;
mod postgres;
mod provisioned;
mod record;
mod run;
mod shell;
mod sign_in;
mod simulate;
#[cfg(any(feature = "postgres", feature = "docker", feature = "ec2"))]
mod task;
mod up;
mod wait;
