//! The EC2 provider against moto, a double of AWS that other people keep; `TEST_EC2` says where it is installed.
//!
//! What moto does not do is tested beside the code, with answers as EC2 writes them: it checks no signatures, knows no tokens of
//! launches, never lacks machines and never takes one away.

#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

mod contract;
mod double;
mod doubled;
mod machines;
mod moto;
mod questions;
