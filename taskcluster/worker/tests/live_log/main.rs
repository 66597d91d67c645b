//! The log of a run while it runs: who reads it how, and what is kept of it.

mod kept;
mod readers;
mod stage;
mod tls;
