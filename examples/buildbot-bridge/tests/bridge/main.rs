//! The bridge between a real Buildbot, which `TEST_BUILDBOT` says where it is installed, and a real queue.

#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

mod away;
mod bench;
mod builds;
mod cancelled;
mod conformance;
mod encrypted;
mod help;
mod master;
mod refused;
mod unwanted;
