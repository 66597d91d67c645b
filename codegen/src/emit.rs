//! The third step: from the [`Model`] to Rust.

mod client;
pub(crate) mod docs;
mod events;
mod examples;
mod mock;
mod objects;
mod operations;
mod server;
mod types;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::Examples;
use crate::error::{Error, Result};
use crate::model::{Model, Service, TypeRef};
use crate::resolve::is_keyword;

/// How generated code finds what it refers to.
#[derive(Clone, Debug)]
pub(crate) struct Emitter<'m> {
    model: &'m Model,
    /// The crate `taskcluster_core`.
    runtime: TokenStream,
    /// The crate `taskcluster_server`.
    server: TokenStream,
    /// Where the modules of services are.
    modules: TokenStream,
    /// How users name things, if methods are to have examples.
    examples: Option<Examples>,
    /// The module that the code will stand in, if types may be named without a path there.
    own: Option<&'m str>,
    /// How many modules below the own one we are.
    depth: usize,
}

impl<'m> Emitter<'m> {
    pub(crate) fn new(model: &'m Model, runtime: &str, server: &str, modules: &str) -> Result<Self> {
        Ok(Self {
            model,
            runtime: path("runtime_path", runtime)?,
            server: path("server_path", server)?,
            modules: path("types_path", modules)?,
            examples: None,
            own: None,
            depth: 0,
        })
    }

    pub(crate) fn with_examples(self, examples: Option<Examples>) -> Self {
        Self { examples, ..self }
    }

    /// The module of a service: types, client, operations, events.
    pub(crate) fn client(&self, service: &'m Service) -> TokenStream {
        let emitter = Self { own: Some(&service.module), ..self.clone() };
        let client = emitter.client_module(service);
        let types = emitter.types(service);
        let (operations, events) = match service.client {
            Some(_) if service.exchanges.is_empty() => (emitter.operations(service), TokenStream::new()),
            Some(_) => (emitter.operations(service), emitter.below().events(service)),
            None => (TokenStream::new(), TokenStream::new()),
        };
        quote!(#client #types #operations #events)
    }

    /// The server half of a service: trait, router, mock.
    pub(crate) fn server(&self, service: &Service) -> TokenStream {
        let api = self.server_module(service);
        let mock = self.mock(service);
        quote!(#api #mock)
    }

    fn below(&self) -> Self {
        Self { depth: self.depth + 1, ..self.clone() }
    }

    /// The use of a type.
    fn of(&self, of: &TypeRef) -> TokenStream {
        let runtime = &self.runtime;
        match of {
            TypeRef::Bool => quote!(bool),
            TypeRef::U32 => quote!(u32),
            TypeRef::U64 => quote!(u64),
            TypeRef::I64 => quote!(i64),
            TypeRef::F64 => quote!(f64),
            TypeRef::String => quote!(String),
            TypeRef::Timestamp => quote!(#runtime::time::Timestamp),
            TypeRef::TaskId => quote!(#runtime::ids::TaskId),
            TypeRef::RunId => quote!(#runtime::ids::RunId),
            TypeRef::TaskQueueId => quote!(#runtime::ids::TaskQueueId),
            TypeRef::Priority => quote!(#runtime::ids::Priority),
            TypeRef::Secret => quote!(#runtime::secret::Secret),
            TypeRef::SecretObject => quote!(#runtime::secret::SecretObject),
            TypeRef::Json | TypeRef::Numbered(_) => quote!(::serde_json::Value),
            TypeRef::Object => quote!(::serde_json::Map<String, ::serde_json::Value>),
            TypeRef::List(of) => {
                let of = self.of(of);
                quote!(Vec<#of>)
            }
            TypeRef::Map(of) => {
                let of = self.of(of);
                quote!(::std::collections::BTreeMap<String, #of>)
            }
            TypeRef::Nullable(of) => {
                let of = self.of(of);
                quote!(Option<#of>)
            }
            TypeRef::Boxed(of) => {
                let of = self.of(of);
                quote!(Box<#of>)
            }
            TypeRef::Named { module, name } => self.named(module, name),
        }
    }

    fn named(&self, module: &str, name: &str) -> TokenStream {
        let name = ident(name);
        let up = std::iter::repeat_n(quote!(super::), self.depth);
        if self.own == Some(module) {
            return quote!(#(#up)* #name);
        }
        let module = ident(module);
        let modules = &self.modules;
        let is_relative = self.own.is_some() && modules.to_string().starts_with("super");
        if is_relative { quote!(#(#up)* #modules::#module::#name) } else { quote!(#modules::#module::#name) }
    }

    /// The type of what a service replies: where no schema describes it anything at all, a stream as well.
    fn reply(&self, operation: &crate::model::Operation) -> TokenStream {
        let runtime = &self.runtime;
        if operation.blob { quote!(#runtime::transport::Body) } else { self.answer(operation) }
    }

    /// The type of what an operation answers.
    fn answer(&self, operation: &crate::model::Operation) -> TokenStream {
        let runtime = &self.runtime;
        match &operation.output {
            Some(body) => self.of(&body.of),
            None if operation.blob => quote!(#runtime::request::Blob),
            None => quote!(()),
        }
    }
}

/// An identifier; keywords become `r#…`.
pub(crate) fn ident(name: &str) -> Ident {
    if is_keyword(name) { Ident::new_raw(name, Span::call_site()) } else { Ident::new(name, Span::call_site()) }
}

fn path(setting: &'static str, text: &str) -> Result<TokenStream> {
    match syn::parse_str::<syn::Path>(text) {
        Ok(path) => Ok(quote!(#path)),
        Err(error) => Err(Error::Setting { setting, message: format!("{text:?} is not a path: {error}") }),
    }
}

/// Formats code as rustfmt would, nearly.
pub(crate) fn format(service: &str, code: &TokenStream) -> Result<String> {
    match syn::parse2::<syn::File>(code.clone()) {
        Ok(file) => Ok(prettyplease::unparse(&file)),
        Err(error) => Err(Error::Generated { service: service.to_owned(), message: error.to_string() }),
    }
}
