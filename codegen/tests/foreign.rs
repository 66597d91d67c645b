//! References that are not ours: eight services in the layout of a deployment, with shapes that ours do not have. They
//! must become code without a word about them in the generator. The long run compiles what comes out, too.

use std::collections::BTreeMap;
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
fn a_definition_inside_of_a_document_is_one_type_wherever_it_is_meant() {
    let model = model();
    let field = |of: &str, name: &str| {
        let Shape::Struct(structure) = shape(&model, "object", of) else { panic!("{of} is a struct") };
        structure.fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("{of} has {name}")).of.clone()
    };
    let hashes = field("CreateUploadRequest", "hashes");
    assert_eq!(hashes, field("FinishUploadRequest", "hashes"));
    let TypeRef::Named { name, .. } = hashes.clone() else { panic!("{hashes:?} is a type") };
    assert_eq!(field(&name, "sha256"), TypeRef::String);
    let downloaded = field("ObjectResponse", "hashes");
    assert_ne!(downloaded, hashes);
    assert_eq!(downloaded, field("DownloadByUrl", "hashes"));
}

#[test]
fn proofs_are_told_apart_by_what_they_hold() {
    let model = model();
    let variants = |name: &str| {
        let Shape::Union(union) = shape(&model, "worker_manager", name) else { panic!("{name} is a union") };
        union.variants.iter().map(|variant| (variant.ident.clone(), variant.required.join(" "))).collect::<Vec<_>>()
    };
    let owned =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        variants("RegisterWorkerRequestWorkerIdentityProof"),
        owned(&[
            ("ProofWithSignature", "document signature"),
            ("ProofWithDocument", "document"),
            ("ProofWithSecret", "staticSecret"),
            ("ProofWithToken", "token"),
        ])
    );
    assert_eq!(
        variants("UpdateWorkerRequestProviderInfo"),
        owned(&[("StaticProvider", "staticSecret"), ("Object", "")])
    );
}

#[test]
fn parts_from_elsewhere_are_merged_into_one_type() {
    let model = model();
    let fields = |name: &str| {
        let Shape::Struct(structure) = shape(&model, "worker_manager", name) else { panic!("{name} is a struct") };
        structure.fields.iter().map(|field| (field.name.clone(), field.of.clone())).collect::<BTreeMap<_, _>>()
    };
    let worker = fields("WorkerResponse");
    assert!(worker.len() == 14 && matches!(worker["state"], TypeRef::Named { .. }), "{worker:?}");
    assert!(matches!(&worker["recentTasks"], TypeRef::List(of) if matches!(**of, TypeRef::Named { .. })), "{worker:?}");
    assert_eq!(worker["publicIp"], TypeRef::String, "an address of either kind");
    let stats = fields("LaunchConfigStats");
    assert_eq!((stats.len(), &stats["launchConfigId"]), (11, &TypeRef::String));
    assert_eq!(fields("WorkerPoolErrorStatsResponse")["workerPoolId"], TypeRef::String, "an id, or an empty text");
    let totals = fields("WorkerPoolErrorStatsResponseTotals");
    assert_eq!(totals["daily"], TypeRef::Map(Box::new(TypeRef::U64)));
}

#[test]
fn one_service_alone_has_the_same_types() {
    let all = output();
    let alone = Generator::new().references(folder()).services(["hooks"]).generate_formatted().unwrap();
    let hooks = |output: &Output| output.files.iter().find(|file| file.name == "hooks.rs").unwrap().code.clone();
    assert_eq!(hooks(&all), hooks(&alone));
}
