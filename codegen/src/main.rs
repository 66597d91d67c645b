//! The generator as a program.

use std::process::ExitCode;

use taskcluster_codegen::Generator;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = args.get(1).cloned().unwrap_or_else(|| "api-references".to_owned());
    let mut generator = Generator::new().references(folder);
    if let Some(service) = args.get(2) {
        generator = generator.services([service.clone()]);
    }
    if args.first().is_some_and(|a| a == "server") {
        generator = generator.client(false).server("::taskcluster");
    }
    match generator.generate_formatted() {
        Ok(output) => {
            for file in output.files {
                println!("{}", file.code);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
