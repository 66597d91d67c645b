//! Writes the tables of all bodies that services send (each answer and each message with its schema and its Rust type) and of
//! all services with their methods, and takes the first program out of the README.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use taskcluster_codegen::Generator;
use taskcluster_codegen::model::{Body, Model, TypeRef};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={}", taskcluster_api_references::DIR);
    let (folder, modules) = (taskcluster_api_references::DIR, taskcluster_api_references::MODULES);
    let model = Generator::new().references(folder).modules(modules).model()?;
    let table = table(&model);
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("bodies.rs"), table)?;
    fs::write(Path::new(&out).join("services.rs"), services(&model))?;

    println!("cargo::rerun-if-changed={README}");
    let program = first_program(&fs::read_to_string(README)?).ok_or("there is no Rust in the README")?.to_owned();
    fs::write(Path::new(&out).join("first_program.rs"), program)?;
    Ok(())
}

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

fn first_program(readme: &str) -> Option<&str> {
    let (_, code) = readme.split_once("```rust\n")?;
    code.split_once("```").map(|(program, _)| program)
}

fn table(model: &Model) -> String {
    let mut rows = String::from("&[\n");
    let mut known = BTreeSet::new();
    let mut row = |name: &str, body: &Body| {
        let (schema, rust) = (&body.schema, rust(&body.of));
        // Many methods answer with the same.
        if known.insert((schema.clone(), rust.clone())) {
            writeln!(rows, "    Body {{ name: {name:?}, schema: {schema:?}, read: read::<{rust}> }},")
                .expect("a string grows");
        }
    };
    for service in &model.services {
        for operation in &service.operations {
            if let Some(output) = &operation.output {
                row(&format!("{}.{}", service.name, operation.name), output);
            }
        }
        for exchange in &service.exchanges {
            row(&format!("{} event {}", service.name, exchange.name), &exchange.message);
        }
    }
    rows.push_str("]\n");
    rows
}

/// A mock of each service behind its router, with the methods that lead there.
fn services(model: &Model) -> String {
    let mut rows = String::from("&[\n");
    for service in &model.services {
        let Some(client) = &service.client else { continue };
        let module = &service.module;
        writeln!(
            rows,
            "    Service {{\n        name: {:?},\n        operations: taskcluster::{module}::operations::ALL,\n        \
             start: || {{\n            let mock = Arc::new(taskcluster_server::{module}::{client}Mock::new());\n            \
             (taskcluster_server::{module}::router(mock.clone()), Box::new(move || mock.calls()))\n        }},\n    }},",
            service.name,
        )
        .expect("a string grows");
    }
    rows.push_str("]\n");
    rows
}

fn rust(of: &TypeRef) -> String {
    match of {
        TypeRef::Named { module, name } => format!("taskcluster::{module}::{name}"),
        TypeRef::List(of) => format!("Vec<{}>", rust(of)),
        TypeRef::Map(of) => format!("std::collections::BTreeMap<String, {}>", rust(of)),
        TypeRef::Nullable(of) => format!("Option<{}>", rust(of)),
        // Whole bodies that are none of these are free JSON: there is nothing to break.
        _ => "serde_json::Value".to_owned(),
    }
}
