//! End to end, over real HTTP.

mod api;
mod codegen;
#[path = "../examples/docker-worker/tests/worker/docker.rs"]
#[expect(dead_code, reason = "the worker's own tests need more of it")]
mod docker;
mod flows;
mod kill;
mod wire;
mod workers;
