//! The service as its callers see it: the generated client, signed requests, the generated router, an in-memory store,
//! a clock that stands still.

mod audit;
mod authenticated;
mod certificates;
mod clients;
mod cloud;
mod deployment;
mod role_logic;
mod roles;
mod static_clients;
mod stories;
mod try_out;
