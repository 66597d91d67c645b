//! One module for each service, in it one for each of the methods that are worth a test over the network. The services'
//! own suites go further into each.

mod auth;
mod index;
mod provisioner;
mod purge_cache;
mod queue;
mod scheduler;
