//! Golden pairs: `fixtures/<feature>.json` and the code that it becomes, which is compiled here and put to use.
//!
//! A fixture is one schema, which a method takes and gives back, or a bundle of documents. After a wanted change of
//! the generator `BLESS=1 cargo test -p taskcluster-codegen --test golden` writes the code anew.

use std::fs;
use std::path::{Path, PathBuf};

use taskcluster_codegen::{Examples, Generator, Output};

#[path = "golden/behaviour.rs"]
mod behaviour;

/// Compiles each fixture as a module of its own.
macro_rules! fixtures {
    ($($name:ident)*) => {
        /// What is compiled.
        const COMPILED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code, used in part")]
            mod $name {
                include!(concat!("fixtures/", stringify!($name), ".rs"));
            }
        )*
    };
}

fixtures! {
    all_of
    constant
    descriptions
    domain
    enumeration
    events
    generation_of_2015
    integers
    maps
    methods
    nullable
    obstacles
    pages
    plain_union
    properties_beside_union
    recursion
    references
    rules
    scopes
    structure
    tagged_union
    titles_alike
    two_services
    untagged_union
    without_type
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let json = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<String> = json.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The generator over a fixture.
fn generator(name: &str) -> Generator {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
    let reference = format!(
        r#"{{"serviceName": "fixture", "apiVersion": "v1", "title": "Fixture", "description": "One schema.", "entries": [
            {{"type": "function", "name": "echo", "method": "post", "route": "/echo", "args": [],
              "input": "v1/{name}.json#", "output": "v1/{name}.json#", "stability": "stable", "description": "Gives it back."}}
        ]}}"#
    );
    let file = format!("{name}.json");
    let generator = Generator::new().examples(Examples::new("my_clients", "my_clients::taskcluster_core"));
    if text.trim_start().starts_with('[') {
        generator.texts([(file, text)])
    } else {
        generator.texts([(file, text), ("api.json".to_owned(), reference)])
    }
}

/// All modules of an output as one file.
fn text(output: &Output) -> String {
    let modules = output.files.iter().map(|file| {
        let name = file.name.trim_end_matches(".rs");
        format!("pub mod {name} {{\n{}}}\n", file.code)
    });
    modules.collect()
}

#[test]
fn fixtures_become_what_stands_beside_them() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut changed = Vec::new();
    for name in names() {
        let code = text(&generator(&name).generate_formatted().unwrap_or_else(|error| panic!("{name}: {error}")));
        let path = folder().join(format!("{name}.rs"));
        if fs::read_to_string(&path).ok().as_deref() != Some(code.as_str()) {
            if bless {
                fs::write(&path, &code).unwrap();
            } else {
                changed.push(name);
            }
        }
    }
    assert!(changed.is_empty(), "these fixtures become something else now: {changed:?}; BLESS=1 accepts it");
}

#[test]
fn every_fixture_is_compiled() {
    assert_eq!(names(), COMPILED, "the list of fixtures in golden.rs");
}

#[test]
fn the_same_input_makes_the_same_code() {
    for name in names() {
        let once = generator(&name).server("crate").generate_formatted().unwrap();
        let again = generator(&name).server("crate").generate_formatted().unwrap();
        assert_eq!(once.files, again.files, "{name}");
        assert_eq!(once.model, again.model, "{name}");
    }
}
