//! Writes every method of every service as data, by the model that the clients are made of: `taskcluster api` is made of it.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use taskcluster_api_references::DIR;
use taskcluster_codegen::model::{
    Argument, ArgumentKind, Model, Operation, QueryKind, QueryParameter, Scopes, Service, Shape, TypeRef,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DIR}");
    let model = taskcluster_codegen::Generator::new().references(DIR).model()?;
    let mut table = String::from("[\n");
    for service in model.services.iter().filter(|service| service.client.is_some()) {
        write_service(&mut table, &model, service)?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("api.rs"), table)?;
    Ok(())
}

fn write_service(table: &mut String, model: &Model, service: &Service) -> Result<(), Box<dyn Error>> {
    // As the official client calls it, such as `workerManager`.
    let client = service.client.as_deref().unwrap_or_default();
    let other = client[..1].to_ascii_lowercase() + &client[1..];
    let other = (other != service.name).then_some(other);
    let (name, description) = (&service.name, &service.description);
    writeln!(table, "Service {{ name: {name:?}, alias: {other:?}, description: {description:?}, methods: &[")?;
    for operation in &service.operations {
        let title = &operation.title;
        let alias = kebab(&operation.name, &operation.function);
        writeln!(table, "Method {{ title: {title:?}, alias: {alias:?}, description: {:?},", operation.description)?;
        let arguments = operation.args.iter().map(argument).collect::<Result<String, _>>()?;
        let query = operation.query.iter().map(parameter).collect::<Result<String, _>>()?;
        writeln!(table, "arguments: &[{arguments}], query: &[{query}], items: {:?},", items(model, operation))?;
        writeln!(table, "operation: &{} }},", constant(service, operation))?;
    }
    table.push_str("] },\n");
    Ok(())
}

/// The name with dashes, where it is another.
fn kebab(name: &str, ident: &str) -> Option<String> {
    let dashed = ident.trim_end_matches('_').trim_start_matches("r#").replace('_', "-");
    (dashed != name).then_some(dashed)
}

fn argument(argument: &Argument) -> Result<String, String> {
    let kind = match argument.kind {
        ArgumentKind::TaskId => "TaskId",
        ArgumentKind::RunId => "Number",
        ArgumentKind::Text => "Text",
        other => return Err(format!("the command line does not know arguments that are {other:?}")),
    };
    Ok(format!("Parameter {{ name: {:?}, alias: None, kind: Kind::{kind} }}, ", argument.name))
}

fn parameter(parameter: &QueryParameter) -> Result<String, String> {
    let kind = match parameter.kind {
        QueryKind::Text => "Text",
        QueryKind::Number => "Number",
        QueryKind::Flag => "Flag",
        other => return Err(format!("the command line does not know query parameters that are {other:?}")),
    };
    let alias = kebab(&parameter.name, &parameter.ident);
    Ok(format!("Parameter {{ name: {:?}, alias: {alias:?}, kind: Kind::{kind} }}, ", parameter.name))
}

/// What the answer calls the list that comes in pages.
fn items<'a>(model: &'a Model, operation: &Operation) -> Option<&'a str> {
    let wanted = &operation.pages.as_ref()?.items;
    let TypeRef::Named { module, name } = &operation.output.as_ref()?.of else { return None };
    let service = model.services.iter().find(|service| service.module == *module)?;
    let Shape::Struct(answer) = &service.types.iter().find(|known| known.name == *name)?.shape else { return None };
    answer.fields.iter().find(|field| field.ident == *wanted).map(|field| field.name.as_str())
}

/// The operation as the SDK has it.
fn constant(service: &Service, operation: &Operation) -> String {
    let names = |names: &mut dyn Iterator<Item = &String>| names.map(|name| format!("{name:?}, ")).collect::<String>();
    let schema = |schema: &String| format!("{schema}#");
    let output = operation.output.as_ref().map(|body| schema(&body.schema));
    format!(
        "Operation {{ service: {:?}, version: {:?}, name: {:?}, method: taskcluster_core::Method::{:?}, route: {:?}, \
         args: &[{}], query: &[{}], input: {:?}, output: {:?}, scopes: {}, idempotent: {}, stability: Stability::{:?} }}",
        service.name,
        service.version,
        operation.name,
        operation.method,
        operation.route,
        names(&mut operation.args.iter().map(|argument| &argument.name)),
        names(&mut operation.query.iter().map(|parameter| &parameter.name)),
        operation.input.as_ref().map(|body| schema(&body.schema)),
        output.or(operation.blob.then(|| "blob".to_owned())),
        operation.scopes.as_ref().map_or("None".to_owned(), |scopes| format!("Some(&{})", template(scopes))),
        operation.idempotent,
        operation.stability,
    )
}

fn template(scopes: &Scopes) -> String {
    let all = |parts: &[Scopes]| parts.iter().map(|part| template(part) + ", ").collect::<String>();
    match scopes {
        Scopes::Scope(scope) => format!("ScopeTemplate::Scope({scope:?})"),
        Scopes::AllOf(parts) => format!("ScopeTemplate::AllOf(&[{}])", all(parts)),
        Scopes::AnyOf(parts) => format!("ScopeTemplate::AnyOf(&[{}])", all(parts)),
        Scopes::ForEach { variable, list, each } => {
            format!("ScopeTemplate::ForEach {{ variable: {variable:?}, list: {list:?}, each: {each:?} }}")
        }
        Scopes::If { condition, then, otherwise } => {
            let otherwise =
                otherwise.as_ref().map_or("None".to_owned(), |otherwise| format!("Some(&{})", template(otherwise)));
            let then = template(then);
            format!("ScopeTemplate::If {{ condition: {condition:?}, then: &{then}, otherwise: {otherwise} }}")
        }
    }
}
