//! Makes the typed client of what this deployment publishes under `<rootUrl>/references`, kept in `references/`.

/// Of the references that somebody has looked at; `taskcluster-codegen check references` prints it.
const PINNED: &str = "sha256-da491d8aeb1c51318744a67d9127f4071977c6880f8589dfaf3d65006041eaeb";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output = taskcluster_codegen::Generator::new().references("references").pinned(PINNED).generate()?;
    output.write_to(std::env::var("OUT_DIR")?)?;
    output.print_cargo_lines();
    Ok(())
}
