//! Makes traits, routes and mocks of the services whose features are on.

use std::env;
use std::error::Error;

/// The services that have a feature of their own.
const SERVICES: &[&str] = &["auth", "queue", "scheduler", "provisioner"];

fn main() -> Result<(), Box<dyn Error>> {
    let is_on = |service: &&str| env::var_os(format!("CARGO_FEATURE_{}", service.to_uppercase())).is_some();
    let services = SERVICES.iter().copied().filter(is_on);
    let output = taskcluster_codegen::Generator::new()
        .references(taskcluster_api_references::DIR)
        .services(services)
        .client(false)
        .server("::taskcluster")
        .server_path("crate")
        // In lines, since errors of the compiler and rustdoc's "Source" point into it.
        .generate_formatted()?;
    output.write_to(env::var("OUT_DIR")?)?;
    output.print_cargo_lines();
    Ok(())
}
