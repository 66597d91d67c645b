//! What is on the wire, independent of any service's behaviour.

mod forward_compatibility;
mod instances;
mod published;
mod services;

pub(crate) use published::get;
