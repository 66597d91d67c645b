#![doc = include_str!("../README.md")]

/// The service that only this deployment has.
#[allow(clippy::all, clippy::pedantic, reason = "generated code is written for the compiler")]
pub mod inventory {
    include!(concat!(env!("OUT_DIR"), "/inventory.rs"));
}
