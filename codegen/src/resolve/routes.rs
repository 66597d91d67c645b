//! Methods: their names, arguments, query parameters and pages.

use super::names::{Names, pascal, snake};
use crate::error::Result;
use crate::model::{Argument, ArgumentKind, Pages, QueryKind, QueryParameter, Shape, Type, TypeRef};
use crate::reference::Entry;

/// Query parameters that are flags; references give only names.
const FLAGS: &[&str] = &["includeArchived", "quarantined"];

/// Names that a client has already. `clone` would be taken for `Clone::clone`.
const OF_CLIENTS: &[&str] = &["caller", "clone", "default", "new"];

/// Names that a request's builder has already, besides what is found on everything.
const OF_BUILDERS: &[&str] = &[
    "all",
    "attempt_timeout",
    "borrow",
    "clone",
    "continuation_token",
    "deadline",
    "from",
    "idempotent",
    "into",
    "into_future",
    "limit",
    "new",
    "open",
    "pages",
    "query",
    "raw",
    "retries",
    "retry",
    "send",
    "signed_for",
    "stall_timeout",
    "stream",
    "try_into",
    "url",
];

/// The arguments of a method in the order of its route.
pub(super) fn arguments(entry: &Entry<'_>) -> Result<Vec<Argument>> {
    let route = entry.at.required("route")?;
    if !entry.route.starts_with('/') {
        return Err(route.error("a route begins with a slash"));
    }
    let mut names = Names::reserving(&["payload", "call", "query"]);
    let mut arguments: Vec<Argument> = Vec::new();
    let mut rest = entry.route;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((name, after)) = after.split_once('>') else {
            return Err(route.error("an argument of the route does not end"));
        };
        rest = after;
        if !entry.args.contains(&name) {
            return Err(route.error(format!("argument {name:?} of the route is not declared in \"args\"")));
        }
        if arguments.iter().any(|known| known.name == name) {
            return Err(route.error(format!("argument {name:?} stands twice in the route")));
        }
        arguments.push(Argument { name: name.to_owned(), ident: names.take(&[snake(name)]), kind: kind(name) });
    }
    if let Some(name) = entry.args.iter().find(|name| arguments.iter().all(|known| known.name != **name)) {
        return Err(entry.at.required("args")?.error(format!("argument {name:?} does not stand in the route")));
    }
    Ok(arguments)
}

/// What is known about a value by its name.
pub(super) fn kind(name: &str) -> ArgumentKind {
    match name {
        "taskId" | "taskGroupId" => ArgumentKind::TaskId,
        "runId" => ArgumentKind::RunId,
        _ => ArgumentKind::Text,
    }
}

/// The query parameters of a method.
pub(super) fn query(entry: &Entry<'_>) -> Result<Vec<QueryParameter>> {
    let mut idents = Names::default();
    let mut setters = Names::reserving(OF_BUILDERS);
    let mut parameters: Vec<QueryParameter> = Vec::new();
    for &name in &entry.query {
        if parameters.iter().any(|known| known.name == name) {
            return Err(entry.at.required("query")?.error(format!("{name:?} stands twice")));
        }
        let ident = snake(name);
        let setter = match name {
            "limit" | "continuationToken" => ident.clone(),
            _ => setters.take(&[ident.clone(), format!("with_{ident}")]),
        };
        parameters.push(QueryParameter {
            name: name.to_owned(),
            ident: idents.take(&[ident]),
            setter,
            kind: match name {
                "limit" => QueryKind::Number,
                name if FLAGS.contains(&name) => QueryKind::Flag,
                _ => QueryKind::Text,
            },
        });
    }
    Ok(parameters)
}

/// The name of a method, which no other may have.
pub(super) fn function(entry: &Entry<'_>, names: &mut Names) -> Result<String> {
    let mut function = snake(entry.name);
    if OF_CLIENTS.contains(&function.as_str()) {
        function.push('_');
    }
    if names.insert(&function) {
        Ok(function)
    } else {
        Err(entry
            .at
            .required("name")?
            .error(format!("{:?} and another method would both be named {function}", entry.name)))
    }
}

/// How the answers of a method are taken page by page, if it has pages.
pub(super) fn pages(query: &[QueryParameter], output: Option<&TypeRef>, types: &[(&str, &Type)]) -> Option<Pages> {
    query.iter().find(|parameter| parameter.name == "continuationToken")?;
    let TypeRef::Named { module, name } = output? else { return None };
    let of = types.iter().find(|(known, of)| known == module && of.name == *name)?;
    let Shape::Struct(structure) = &of.1.shape else { return None };
    let token = structure.fields.iter().find(|field| field.name == "continuationToken")?;
    if token.of != TypeRef::String {
        return None;
    }
    let mut lists = structure.fields.iter().filter(|field| matches!(field.of, TypeRef::List(_)));
    let (items, another) = (lists.next()?, lists.next());
    another.is_none().then(|| Pages { items: items.ident.clone() })
}

/// What the builder of a request could be called.
pub(super) fn builder_names(operation: &str) -> [String; 3] {
    let name = pascal(operation);
    [format!("{name}Request"), format!("{name}Query"), format!("{name}Builder")]
}
