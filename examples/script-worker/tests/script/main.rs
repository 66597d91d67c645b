//! Scripts under a whole worker.

mod conformance;
mod program;
