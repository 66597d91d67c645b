//! Makes the typed client of what this deployment publishes under `<rootUrl>/references`, kept in `references/`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output = taskcluster_codegen::Generator::new().references("references").generate()?;
    output.write_to(std::env::var("OUT_DIR")?)?;
    output.print_cargo_lines();
    Ok(())
}
