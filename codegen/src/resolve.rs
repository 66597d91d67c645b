//! The second step: from documents to the plain [`Model`].

mod finish;
mod names;
mod routes;
pub(crate) mod scopes;
mod types;
mod unions;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use names::{is_keyword, pascal, snake};

use self::names::{Names, PRELUDE};
use self::types::{Types, module_name};
use crate::error::{Error, Result};
use crate::idempotency;
use crate::load::{At, Library};
use crate::model::{Body, Exchange, Model, Operation, Service, Type, TypeRef};
use crate::reference::{Api, Entry, ExchangeEntry, Exchanges};

/// What is found about one method before types have names.
#[derive(Debug)]
struct Found<'a, E> {
    entry: E,
    input: Option<(TypeRef, At<'a>)>,
    output: Option<(TypeRef, At<'a>)>,
}

/// The references of one service.
#[derive(Debug)]
struct Source<'a> {
    /// The first of them.
    at: At<'a>,
    name: String,
    version: String,
    api: Option<Api<'a>>,
    exchanges: Option<Exchanges<'a>>,
}

/// Everything that was found for one service.
#[derive(Debug)]
struct FoundService<'a> {
    operations: Vec<Found<'a, &'a Entry<'a>>>,
    exchanges: Vec<Found<'a, &'a ExchangeEntry<'a>>>,
}

/// The names of all services in the references.
pub(crate) fn services(library: &Library) -> Result<BTreeSet<String>> {
    Ok(sources(library)?.into_iter().map(|source| source.name).collect())
}

/// The modules of all services, and the names of the services.
pub(crate) fn modules(library: &Library) -> Result<BTreeMap<String, String>> {
    Ok(sources(library)?.into_iter().map(|source| (source.module(), source.name)).collect())
}

/// Resolves the references of these services, or of all.
pub(crate) fn resolve(library: &Library, wanted: Option<&[String]>) -> Result<Model> {
    let sources = choose(sources(library)?, wanted)?;
    let mut types = Types::new(library);
    let found = loop {
        let found = sources.iter().map(|source| find(source, &mut types)).collect::<Result<Vec<_>>>()?;
        if !types.restarts() {
            break found;
        }
    };
    let mut names = reserved_names(&sources);
    let mut finished = finish::finish(types, &roots(&sources, &found), &names)?;
    let mut types = std::mem::take(&mut finished.types);
    let all: Vec<(&str, &Type)> =
        types.iter().flat_map(|(module, types)| types.iter().map(move |of| (module.as_str(), of))).collect();
    let mut services = Vec::new();
    for (source, found) in sources.iter().zip(found) {
        let module = source.module();
        let mut taken = names.remove(&module).unwrap_or_default();
        for (_, of) in all.iter().filter(|(known, _)| *known == module) {
            taken.insert(&of.name);
        }
        services.push(service(source, found, &finished, &all, taken)?);
    }
    for service in &mut services {
        service.types = types.remove(&service.module).unwrap_or_default();
    }
    services.extend(types.into_iter().map(|(module, types)| schemas_only(module, types)));
    services.sort_by(|one, other| one.module.cmp(&other.module));
    Ok(Model { services })
}

/// Only these services, which must all be there.
fn choose<'a>(mut sources: Vec<Source<'a>>, wanted: Option<&[String]>) -> Result<Vec<Source<'a>>> {
    let Some(wanted) = wanted else { return Ok(sources) };
    if let Some(name) = wanted.iter().find(|name| sources.iter().all(|source| source.name != **name)) {
        let known = sources.iter().map(|source| source.name.as_str()).collect::<BTreeSet<_>>();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Error::UnknownService { name: name.clone(), known });
    }
    sources.retain(|source| wanted.contains(&source.name));
    Ok(sources)
}

/// The names in each module that no type may have.
fn reserved_names(sources: &[Source<'_>]) -> BTreeMap<String, Names> {
    let reserved = sources.iter().map(|source| {
        let mut names = Names::reserving(PRELUDE);
        names.insert(&source.client());
        (source.module(), names)
    });
    reserved.collect()
}

/// The types that methods and events name, with the module that names them.
fn roots(sources: &[Source<'_>], found: &[FoundService<'_>]) -> Vec<(String, TypeRef)> {
    let mut roots = Vec::new();
    for (source, found) in sources.iter().zip(found) {
        let bodies = found.operations.iter().flat_map(|found| [&found.input, &found.output]);
        let messages = found.exchanges.iter().map(|found| &found.output);
        roots.extend(bodies.chain(messages).flatten().map(|(of, _)| (source.module(), of.clone())));
    }
    roots
}

/// Schemas that belong to no service that code is made for, such as those of a folder `common`.
fn schemas_only(module: String, types: Vec<Type>) -> Service {
    Service {
        name: module.clone(),
        version: String::new(),
        module,
        client: None,
        title: String::new(),
        description: String::new(),
        operations: Vec::new(),
        events: String::new(),
        exchanges: Vec::new(),
        types,
    }
}

/// The references by service and version.
fn sources(library: &Library) -> Result<Vec<Source<'_>>> {
    let mut sources: BTreeMap<(String, String), Source<'_>> = BTreeMap::new();
    for at in library.apis() {
        let api = Api::parse(&at)?;
        let source = source(&mut sources, &at, &api.service, &api.version);
        if source.api.is_some() {
            return Err(at.error(format!("a second reference of {} {}", api.service, api.version)));
        }
        source.api = Some(api);
    }
    for at in library.exchanges() {
        let exchanges = Exchanges::parse(&at)?;
        let source = source(&mut sources, &at, &exchanges.service, &exchanges.version);
        if source.exchanges.is_some() {
            return Err(at.error(format!("a second reference of {} {}", exchanges.service, exchanges.version)));
        }
        source.exchanges = Some(exchanges);
    }
    let mut modules: BTreeMap<String, &str> = BTreeMap::new();
    for source in sources.values() {
        if let Some(known) = modules.insert(source.module(), &source.name) {
            return Err(source.at.error(format!("services {known:?} and {:?} would have one module", source.name)));
        }
    }
    Ok(sources.into_values().collect())
}

fn source<'s, 'a>(
    sources: &'s mut BTreeMap<(String, String), Source<'a>>,
    at: &At<'a>,
    name: &str,
    version: &str,
) -> &'s mut Source<'a> {
    sources.entry((name.to_owned(), version.to_owned())).or_insert_with(|| Source {
        at: at.clone(),
        name: name.to_owned(),
        version: version.to_owned(),
        api: None,
        exchanges: None,
    })
}

impl Source<'_> {
    fn module(&self) -> String {
        module_name(&self.name, &self.version)
    }

    fn client(&self) -> String {
        pascal(&self.module())
    }
}

/// Finds the types of a service.
fn find<'a>(source: &'a Source<'a>, types: &mut Types<'a>) -> Result<FoundService<'a>> {
    let mut operations = Vec::new();
    for entry in source.api.iter().flat_map(|api| &api.entries) {
        let mut body = |at: &Option<At<'a>>| at.as_ref().map(|at| types.of_reference(at, &source.name)).transpose();
        operations.push(Found { entry, input: body(&entry.input)?, output: body(&entry.output)? });
    }
    let mut exchanges = Vec::new();
    for entry in source.exchanges.iter().flat_map(|exchanges| &exchanges.entries) {
        let message = types.of_reference(&entry.schema, &source.name)?;
        exchanges.push(Found { entry, input: None, output: Some(message) });
    }
    Ok(FoundService { operations, exchanges })
}

fn service(
    source: &Source<'_>,
    found: FoundService<'_>,
    finished: &finish::Finished,
    types: &[(&str, &Type)],
    mut names: Names,
) -> Result<Service> {
    let mut functions = Names::default();
    let mut operations = Vec::new();
    for found in found.operations {
        operations.push(operation(&source.name, &found, finished, types, (&mut functions, &mut names))?);
    }
    let mut idents = Names::reserving(PRELUDE);
    let mut exchanges = Vec::new();
    for found in found.exchanges {
        exchanges.extend(exchange(source, &found, finished, &mut idents)?);
    }
    for exchange in &mut exchanges {
        let stem = exchange.ident.trim_end_matches('_');
        exchange.key = idents.take(&[format!("{stem}Key"), format!("{stem}Binding")]);
    }
    let api = source.api.as_ref();
    Ok(Service {
        name: source.name.clone(),
        version: source.version.clone(),
        module: source.module(),
        client: Some(source.client()),
        title: api.map_or("", |api| api.title).to_owned(),
        description: api.map_or("", |api| api.description).to_owned(),
        operations,
        events: source.exchanges.as_ref().map_or("", |exchanges| exchanges.description).to_owned(),
        exchanges,
        types: Vec::new(),
    })
}

fn operation(
    service: &str,
    found: &Found<'_, &Entry<'_>>,
    finished: &finish::Finished,
    types: &[(&str, &Type)],
    (functions, names): (&mut Names, &mut Names),
) -> Result<Operation> {
    let entry = found.entry;
    let input = body(found.input.as_ref(), finished);
    let output = body(found.output.as_ref(), finished);
    let query = routes::query(entry)?;
    let pages = routes::pages(&query, output.as_ref().map(|body| &body.of), types);
    let mut names_of_query: Vec<&str> = query.iter().map(|parameter| parameter.name.as_str()).collect();
    names_of_query.sort_unstable();
    let is_plain_list = pages.is_some() && names_of_query == ["continuationToken", "limit"];
    let builder = (!query.is_empty() && !is_plain_list).then(|| names.take(&routes::builder_names(entry.name)));
    Ok(Operation {
        function: routes::function(entry, functions)?,
        name: entry.name.to_owned(),
        title: entry.title.to_owned(),
        description: entry.description.to_owned(),
        category: entry.category.map(str::to_owned),
        method: entry.method,
        route: entry.route.to_owned(),
        args: routes::arguments(entry)?,
        query,
        input,
        output,
        blob: entry.blob,
        scopes: entry.scopes.clone(),
        idempotent: idempotency::is_idempotent(service, entry.method, entry.name),
        stability: entry.stability,
        pages,
        builder,
    })
}

fn exchange(
    source: &Source<'_>,
    found: &Found<'_, &ExchangeEntry<'_>>,
    finished: &finish::Finished,
    idents: &mut Names,
) -> Result<Option<Exchange>> {
    let entry = found.entry;
    let Some(message) = body(found.output.as_ref(), finished) else { return Ok(None) };
    let ident = pascal(entry.name);
    if !idents.insert(&ident) {
        // A name of the prelude may be bent, but two exchanges of one name are a mistake.
        let bent = format!("{ident}Event");
        if !PRELUDE.contains(&ident.as_str()) || !idents.insert(&bent) {
            let name = entry.at.required("name")?;
            return Err(name.error(format!("{:?} and another exchange would both be named {ident}", entry.name)));
        }
    }
    let ident = if PRELUDE.contains(&ident.as_str()) { format!("{ident}Event") } else { ident };
    let mut words = Names::reserving(&["new", "pattern", "clone", "to_string", "into", "from", "borrow"]);
    let prefix = source.exchanges.as_ref().map_or("", |exchanges| exchanges.prefix);
    Ok(Some(Exchange {
        name: entry.name.to_owned(),
        ident,
        key: String::new(),
        title: entry.title.to_owned(),
        description: entry.description.to_owned(),
        exchange: format!("{prefix}{}", entry.exchange),
        idents: entry.words.iter().map(|word| words.take(&[snake(&word.name)])).collect(),
        words: entry.words.clone(),
        message,
    }))
}

fn body(found: Option<&(TypeRef, At<'_>)>, finished: &finish::Finished) -> Option<Body> {
    found.map(|(of, at)| Body { of: finished.named(of), schema: at.document.id.clone() })
}

/// What is known about a value by the name of its argument or word.
pub(crate) fn kind_of(name: &str) -> crate::model::ArgumentKind {
    routes::kind(name)
}
