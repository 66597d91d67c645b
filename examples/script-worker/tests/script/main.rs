//! Scripts under a whole worker.

mod conformance;
mod help;
mod program;
