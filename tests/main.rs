//! End to end, over real HTTP.

mod codegen;
mod wire;
