//! The service auth.

mod clients;
mod roles;
