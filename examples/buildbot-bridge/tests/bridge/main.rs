//! The bridge between a real Buildbot, which `TEST_BUILDBOT` says where it is installed, and a real queue.

mod away;
mod bench;
mod builds;
mod cancelled;
mod conformance;
mod encrypted;
mod master;
mod refused;
mod unwanted;
