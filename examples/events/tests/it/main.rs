//! The service, and the SDK's bus over it.

mod bus;
mod service;
mod tester;
