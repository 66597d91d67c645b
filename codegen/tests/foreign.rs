//! References that are not ours: eight services in the layout of a deployment, with shapes that ours do not have. They
//! must become code without a word about them in the generator. The long run compiles what comes out, too.

use std::path::{Path, PathBuf};

use taskcluster_codegen::model::{Model, Shape, TypeRef};
use taskcluster_codegen::{Generator, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")
}

fn output() -> Output {
    Generator::new().references(folder()).server("crate").generate_formatted().unwrap()
}

fn model() -> Model {
    Generator::new().references(folder()).model().unwrap()
}

fn shape<'m>(model: &'m Model, module: &str, name: &str) -> &'m Shape {
    let service = model.services.iter().find(|service| service.module == module).unwrap();
    &service.types.iter().find(|of| of.name == name).unwrap_or_else(|| panic!("{module} has no {name}")).shape
}

#[test]
fn all_services_become_code() {
    let output = output();
    let clients = output.model.services.iter().filter(|service| service.client.is_some());
    let clients: Vec<&str> = clients.map(|service| service.name.as_str()).collect();
    assert_eq!(clients, ["github", "hooks", "index", "notify", "object", "purge-cache", "secrets", "worker-manager"]);
    let schemas: Vec<&str> = output
        .model
        .services
        .iter()
        .filter(|service| service.client.is_none())
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(schemas, ["common", "queue"], "folders of schemas that belong to no service");
    assert_eq!(output.files.len(), 2 * clients.len() + schemas.len());
    for file in &output.files {
        syn::parse_file(&file.code).unwrap_or_else(|error| panic!("{}: {error}", file.name));
    }
}

#[test]
fn an_answer_that_may_be_empty_is_a_union() {
    let model = model();
    let Shape::Union(union) = shape(&model, "hooks", "TriggerHookResponse") else { panic!("a union") };
    assert_eq!(union.tag, None);
    let variants: Vec<&str> = union.variants.iter().map(|variant| variant.ident.as_str()).collect();
    assert_eq!(variants, ["TaskId", "Empty"]);
}

#[test]
fn marks_are_found() {
    let model = model();
    for (module, name, tag) in [
        ("hooks", "GetHookStatusResponseLastFire", "result"),
        ("object", "StartDownloadResponse", "method"),
        ("github", "RenderInputFakeEvent", "type"),
    ] {
        let Shape::Union(union) = shape(&model, module, name) else { panic!("{name} is a union") };
        assert_eq!(union.tag.as_deref(), Some(tag), "{name}");
    }
}

#[test]
fn a_part_of_another_document_is_one_type() {
    let model = model();
    let Shape::Struct(tree) = shape(&model, "github", "Tree") else { panic!("a struct") };
    let of = |name: &str| &tree.fields.iter().find(|field| field.name == name).unwrap().of;
    assert_eq!(*of("hook"), TypeRef::String);
    assert!(matches!(of("common"), TypeRef::Named { module, .. } if module == "common"));
    assert!(matches!(of("parent"), TypeRef::Boxed(_)));
}

#[test]
fn one_service_alone_has_the_same_types() {
    let all = output();
    let alone = Generator::new().references(folder()).services(["hooks"]).generate_formatted().unwrap();
    let hooks = |output: &Output| output.files.iter().find(|file| file.name == "hooks.rs").unwrap().code.clone();
    assert_eq!(hooks(&all), hooks(&alone));
}
