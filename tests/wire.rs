//! What is on the wire, independent of any service's behaviour.

mod forward_compatibility;
mod instances;
mod published;

pub(crate) use published::get;
