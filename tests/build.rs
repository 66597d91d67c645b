//! Writes the table of all bodies that services send: each answer and each message with its schema and its Rust type.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use taskcluster_codegen::Generator;
use taskcluster_codegen::model::{Body, Model, TypeRef};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={}", taskcluster_api_references::DIR);
    let model = Generator::new(taskcluster_api_references::DIR).model()?;
    let table = table(&model);
    fs::write(Path::new(&env::var("OUT_DIR")?).join("bodies.rs"), table)?;
    Ok(())
}

fn table(model: &Model) -> String {
    let mut rows = String::from("&[\n");
    for service in &model.services {
        for operation in &service.operations {
            if let Some(output) = &operation.output {
                row(&mut rows, &format!("{}.{}", service.name, operation.name), output);
            }
        }
        for exchange in &service.exchanges {
            row(&mut rows, &format!("{} event {}", service.name, exchange.name), &exchange.message);
        }
    }
    rows.push_str("]\n");
    rows
}

fn row(rows: &mut String, name: &str, body: &Body) {
    let rust = rust(&body.of);
    let schema = &body.schema;
    writeln!(rows, "    Body {{ name: {name:?}, schema: {schema:?}, read: read::<{rust}> }},").expect("a string grows");
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
