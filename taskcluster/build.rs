//! Makes the modules of the services whose features are on.

use std::env;
use std::error::Error;

use taskcluster_codegen::Examples;

fn main() -> Result<(), Box<dyn Error>> {
    let output = taskcluster_codegen::Generator::new()
        .references(taskcluster_api_references::DIR)
        .modules(taskcluster_api_references::MODULES)
        // Also says which feature must imply another.
        .cargo_features()
        .examples(Examples::new("taskcluster", "taskcluster").with_handle("taskcluster::Taskcluster"))
        // In lines, since errors of the compiler and rustdoc's "Source" point into it.
        .generate_formatted()?;
    output.write_to(env::var("OUT_DIR")?)?;
    output.print_cargo_lines();
    Ok(())
}
