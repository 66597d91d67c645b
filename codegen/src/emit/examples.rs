//! An example for each method, as somebody would write it who calls it for the first time.
//!
//! They are compiled with the documentation's tests, so they know how users name what they need: [`Settings::examples`].
//!
//! [`Settings::examples`]: crate::Settings::examples

mod layout;
mod samples;
mod values;

use std::collections::BTreeMap;

use self::layout::Expression;
use self::values::Values;
use super::Emitter;
use crate::Examples;
use crate::model::{
    ArgumentKind, Method, Operation, QueryKind, QueryParameter, Service, Shape, Stability, Struct, TypeRef,
};
use crate::resolve::is_keyword;

/// What an example brings into scope.
#[derive(Debug, Default)]
struct Uses(BTreeMap<String, String>);

impl Uses {
    /// How something is called: by its name, or by its path where another has that name.
    fn name(&mut self, path: &str, name: &str) -> String {
        let known = self.0.entry(name.to_owned()).or_insert_with(|| path.to_owned());
        if known == path { name.to_owned() } else { format!("{path}::{name}") }
    }

    fn lines(&self) -> Vec<String> {
        let mut of_path: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, path) in &self.0 {
            of_path.entry(path).or_default().push(name);
        }
        let line = |(path, names): (&str, Vec<&str>)| match names.as_slice() {
            [name] => format!("use {path}::{name};"),
            names => format!("use {path}::{{{}}};", names.join(", ")),
        };
        let mut lines: Vec<String> = of_path.into_iter().map(line).collect();
        lines.sort();
        lines
    }
}

impl Emitter<'_> {
    /// The section with the example, if there are to be any.
    pub(super) fn example(&self, service: &Service, operation: &Operation) -> String {
        match &self.examples {
            Some(examples) => Example { emitter: self, examples, service, uses: Uses::default() }.section(operation),
            None => String::new(),
        }
    }
}

struct Example<'e> {
    emitter: &'e Emitter<'e>,
    examples: &'e Examples,
    service: &'e Service,
    uses: Uses,
}

impl Example<'_> {
    fn section(mut self, operation: &Operation) -> String {
        let mut body = self.arguments(operation);
        let payload = self.payload(operation);
        body.extend(payload);
        if !body.is_empty() {
            body.push(String::new());
        }
        body.extend(self.call(operation));
        let mut lines = self.uses.lines();
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(body);
        let (head, tail) = self.frame(operation);
        format!("# Example\n```no_run\n{head}{}\n{tail}```", lines.join("\n"))
    }

    /// The lines that nobody needs to read.
    fn frame(&self, operation: &Operation) -> (String, &'static str) {
        let parameter = match &self.examples.handle {
            Some(handle) => format!("tc: {handle}"),
            None => {
                let client = self.service.client.clone().unwrap_or_default();
                format!("{}: {}::{client}", self.variable(), self.module(&self.service.module))
            }
        };
        let allow = match operation.stability {
            Stability::Deprecated => "# #[allow(deprecated)]\n",
            Stability::Stable | Stability::Experimental => "",
        };
        let head = format!(
            "{allow}# async fn example({parameter}) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {{\n"
        );
        (head, "# Ok(())\n# }\n")
    }

    fn module(&self, module: &str) -> String {
        let raw = if is_keyword(module) { "r#" } else { "" };
        format!("{}::{raw}{module}", self.examples.modules)
    }

    /// What the client is called where there is no handle.
    fn variable(&self) -> &str {
        let module = self.service.module.as_str();
        if is_keyword(module) || ["payload", "answer", "now", "items"].contains(&module) { "client" } else { module }
    }

    /// Where the client comes from.
    fn client(&self) -> String {
        match self.examples.handle {
            Some(_) => format!("tc.{}()", self.service.module),
            None => self.variable().to_owned(),
        }
    }

    /// The ids of tasks among the arguments.
    fn arguments(&mut self, operation: &Operation) -> Vec<String> {
        let ids = operation.args.iter().filter(|argument| argument.kind == ArgumentKind::TaskId);
        let known = format!("\"{}\".parse()?", samples::TASK_ID);
        let value = match (operation.method, operation.args.as_slice()) {
            // What is put under an id alone is most likely new.
            (Method::Put, [_]) if ids.clone().next().is_some() => {
                format!("{}::new()", self.uses.name(&self.examples.runtime, "TaskId"))
            }
            _ => known,
        };
        ids.map(|argument| format!("let {} = {value};", argument.ident)).collect()
    }

    fn payload(&mut self, operation: &Operation) -> Vec<String> {
        let Some(input) = &operation.input else { return Vec::new() };
        let known = self.uses.0.clone();
        let mut values = Values::new(self.emitter, self.examples, &mut self.uses);
        if let Some(value) = values.exact("payload", &input.of) {
            let mut lines = values.prelude();
            lines.extend(Expression::binding("let payload", value).lines(0, ";"));
            return lines;
        }
        // What is that long people keep in a file.
        self.uses = Uses(known);
        let of = Values::new(self.emitter, self.examples, &mut self.uses).name_of(&input.of);
        let text = Expression::plain("&std::fs::read_to_string(\"payload.json\")?");
        let read = Expression::call("serde_json::from_str", [text]).with_end("?");
        Expression::binding(&format!("let payload: {of}"), read).lines(0, ";")
    }

    fn call(&mut self, operation: &Operation) -> Vec<String> {
        let mut arguments: Vec<Expression> = operation
            .args
            .iter()
            .map(|argument| match argument.kind {
                ArgumentKind::TaskId => Expression::plain(format!("&{}", argument.ident)),
                ArgumentKind::RunId => Expression::plain("0"),
                ArgumentKind::Text => self.text(&argument.name),
            })
            .collect();
        arguments.extend(operation.input.as_ref().map(|_| Expression::plain("&payload")));
        let raw = if is_keyword(&operation.function) { "r#" } else { "" };
        let mut links = vec![Expression::call(&format!("{raw}{}", operation.function), arguments)];
        links.extend(operation.builder.as_ref().and_then(|_| self.query(&operation.query)));
        match self.page_items(operation) {
            Some((items, of)) => self.stream(links, &items, &of),
            None => self.answer(operation, links),
        }
    }

    /// The field of the pages' items and the type of one.
    fn page_items(&self, operation: &Operation) -> Option<(String, TypeRef)> {
        let pages = operation.pages.as_ref()?;
        let Some(Shape::Struct(page)) = self.emitter.shape_of(&operation.output.as_ref()?.of) else { return None };
        let items = page.fields.iter().find(|field| field.ident == pages.items)?;
        let TypeRef::List(of) = &items.of else { return None };
        Some((pages.items.clone(), (**of).clone()))
    }

    fn stream(&mut self, mut links: Vec<Expression>, items: &str, of: &TypeRef) -> Vec<String> {
        self.uses.0.insert("TryStreamExt as _".to_owned(), "futures_util".to_owned());
        let pin = self.uses.name("std::pin", "pin");
        let item = samples::singular(items);
        let items = if is_keyword(items) || items == item { "items" } else { items };
        links.push(Expression::call("stream", []));
        let stream = Expression::call(&format!("{pin}!"), [Expression::chain(&self.client(), links)]);
        let mut lines = Expression::binding(&format!("let mut {items}"), stream).lines(0, ";");
        lines.push(format!("while let Some({item}) = {items}.try_next().await? {{"));
        lines.push(format!("    {}", self.shown(&item, of)));
        lines.push("}".to_owned());
        lines
    }

    fn answer(&mut self, operation: &Operation, mut links: Vec<Expression>) -> Vec<String> {
        if operation.blob {
            self.uses.0.insert("TryStreamExt as _".to_owned(), "futures_util".to_owned());
            links.push(Expression::call("open", []));
            let answer = Expression::chain(&self.client(), links).with_end(".await?");
            let mut lines = Expression::binding("let answer", answer).lines(0, ";");
            lines.push("let mut pieces = answer.into_body().into_stream();".to_owned());
            lines.push("while let Some(piece) = pieces.try_next().await? {".to_owned());
            lines.push("    println!(\"{} bytes\", piece.len());".to_owned());
            lines.push("}".to_owned());
            return lines;
        }
        let call = Expression::chain(&self.client(), links);
        match &operation.output {
            Some(output) => {
                let mut lines = Expression::binding("let answer", call.with_end(".await?")).lines(0, ";");
                lines.push(self.shown("answer", &output.of));
                lines
            }
            None => call.with_end(".await?").lines(0, ";"),
        }
    }

    /// Prints what is most telling of a value.
    fn shown(&self, value: &str, of: &TypeRef) -> String {
        if self.has_display(of) {
            return format!("println!(\"{{{value}}}\");");
        }
        match self.emitter.shape_of(of).and_then(|shape| self.telling(shape, 2)) {
            Some(path) => format!("println!(\"{{}}\", {value}.{path});"),
            None => format!("println!(\"{{{value}:?}}\");"),
        }
    }

    /// The path to the field that says most.
    fn telling(&self, shape: &Shape, depth: usize) -> Option<String> {
        let Shape::Struct(Struct { fields, .. }) = shape else { return None };
        let name = |ident: &str| format!("{}{ident}", if is_keyword(ident) { "r#" } else { "" });
        let mut sure = fields.iter().filter(|field| field.required && field.constant.is_none());
        let shown = |name: &str| sure.clone().find(|field| field.ident == name && self.has_display(&field.of));
        if let Some(field) = ["state", "name"].into_iter().find_map(shown) {
            return Some(name(&field.ident));
        }
        if let Some(field) = sure.clone().find(|field| self.has_display(&field.of)) {
            return Some(name(&field.ident));
        }
        if let Some(field) = sure.clone().find(|field| matches!(field.of, TypeRef::List(_) | TypeRef::Map(_))) {
            return Some(format!("{}.len()", name(&field.ident)));
        }
        sure.find_map(|field| {
            let inner = self.emitter.shape_of(&field.of).filter(|_| depth > 0)?;
            Some(format!("{}.{}", name(&field.ident), self.telling(inner, depth - 1)?))
        })
    }

    fn has_display(&self, of: &TypeRef) -> bool {
        match of {
            TypeRef::Bool | TypeRef::U32 | TypeRef::U64 | TypeRef::I64 | TypeRef::F64 | TypeRef::String => true,
            TypeRef::Timestamp | TypeRef::TaskId | TypeRef::RunId | TypeRef::TaskQueueId | TypeRef::Priority => true,
            of => matches!(self.emitter.shape_of(of), Some(Shape::Enum { .. })),
        }
    }

    /// One parameter of the query, to show how they are given.
    fn query(&self, parameters: &[QueryParameter]) -> Option<Expression> {
        let is_own = |known: &&QueryParameter| !["continuationToken", "limit"].contains(&known.name.as_str());
        let parameter = parameters.iter().find(is_own)?;
        let value = match parameter.kind {
            QueryKind::Text => self.text(&parameter.name),
            QueryKind::Number => Expression::plain(samples::number(&parameter.name).to_string()),
            QueryKind::Flag => Expression::plain("true"),
        };
        let raw = if is_keyword(&parameter.setter) { "r#" } else { "" };
        Some(Expression::call(&format!("{raw}{}", parameter.setter), [value]))
    }

    fn text(&self, name: &str) -> Expression {
        Expression::plain(samples::literal(&samples::argument(&self.service.name, name)))
    }
}
