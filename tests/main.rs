//! End to end, over real HTTP.

mod api;
mod codegen;
mod flows;
mod kill;
mod wire;
mod workers;
