//! The server half: a trait to implement and the routes that lead to it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::client::{description, route_doc, scopes_section};
use super::docs::doc;
use super::operations::constant;
use super::{Emitter, ident};
use crate::model::{ArgumentKind, Operation, QueryKind, Service};
use crate::resolve::pascal;

/// What every service answers in the same way, so that the runtime does.
const OF_THE_RUNTIME: &[&str] = &["heartbeat", "lbheartbeat", "ping", "version"];

/// The operations that a service implements.
pub(super) fn implemented(service: &Service) -> impl Iterator<Item = &Operation> {
    service.operations.iter().filter(|operation| !OF_THE_RUNTIME.contains(&operation.name.as_str()))
}

impl Emitter<'_> {
    pub(super) fn server_module(&self, service: &Service) -> TokenStream {
        let server = &self.server;
        let name = api_name(service);
        let summary = format!(" What a service must do to be `{}`.", service.name);
        let queries = implemented(service).filter_map(query_struct);
        let methods = implemented(service).map(|operation| {
            let signature = self.signature(operation);
            let doc = doc(&[description(operation), route_doc(operation), scopes_section(operation)]);
            quote!(#doc async #signature;)
        });
        let routes = implemented(service).map(|operation| self.route(service, operation));
        let (wire, version) = (&service.name, &service.version);
        let is_used = implemented(service).next().is_some();
        let mutable = is_used.then(|| quote!(mut));
        let unused = (!is_used).then(|| quote!(let _ = api;));
        quote! {
            #[doc = #summary]
            #[doc = ""]
            #[doc = " A request was checked against the reference before it comes here: arguments, query and payload are valid."]
            #[::async_trait::async_trait]
            pub trait #name: Send + Sync + 'static { #(#methods)* }
            #(#queries)*
            #[doc = " The routes of the API, answered by this."]
            #[must_use]
            pub fn router(api: ::std::sync::Arc<dyn #name>) -> #server::Routes {
                #unused
                let #mutable routes = #server::Routes::new(#wire, #version);
                #(#routes)*
                routes
            }
        }
    }

    /// `fn name(&self, call, arguments, query, payload) -> answer`.
    pub(super) fn signature(&self, operation: &Operation) -> TokenStream {
        let server = &self.server;
        let name = ident(&operation.function);
        let params = self.params(operation).into_iter().map(|(name, of)| quote!(#name: #of));
        let answer = self.reply(operation);
        quote! {
            fn #name(&self, call: &#server::Call #(, #params)*)
                -> Result<#server::Reply<#answer>, #server::Failure>
        }
    }

    /// Names and types of what a handler takes after the call.
    pub(super) fn params(&self, operation: &Operation) -> Vec<(TokenStream, TokenStream)> {
        let mut params: Vec<(TokenStream, TokenStream)> = operation
            .args
            .iter()
            .map(|argument| {
                let name = ident(&argument.ident);
                (quote!(#name), self.argument(argument.kind))
            })
            .collect();
        if !operation.query.is_empty() {
            let of = query_name(operation);
            params.push((quote!(query), quote!(#of)));
        }
        if let Some(body) = &operation.input {
            params.push((quote!(payload), self.of(&body.of)));
        }
        params
    }

    fn argument(&self, kind: ArgumentKind) -> TokenStream {
        let runtime = &self.runtime;
        match kind {
            ArgumentKind::TaskId => quote!(#runtime::ids::TaskId),
            ArgumentKind::RunId => quote!(#runtime::ids::RunId),
            ArgumentKind::Text => quote!(String),
        }
    }

    fn route(&self, service: &Service, operation: &Operation) -> TokenStream {
        let (modules, module) = (&self.modules, ident(&service.module));
        let (name, constant) = (ident(&operation.function), ident(&constant(operation)));
        let arguments = operation.args.iter().enumerate().map(|(place, argument)| {
            let of = self.argument(argument.kind);
            quote!(call.argument::<#of>(#place)?)
        });
        let query = (!operation.query.is_empty()).then(|| {
            let of = query_name(operation);
            let fields = operation.query.iter().map(|parameter| {
                let (field, name) = (ident(&parameter.ident), &parameter.name);
                let value = match parameter.kind {
                    QueryKind::Text => quote!(call.query().text(#name)),
                    QueryKind::Number => quote!(call.query().number(#name)),
                    QueryKind::Flag => quote!(call.query().get(#name).map(|value| value == "true")),
                };
                quote!(#field: #value)
            });
            quote!(#of { #(#fields),* })
        });
        let payload = operation.input.as_ref().map(|_| quote!(call.payload()?));
        let values = arguments.chain(query).chain(payload);
        let into_reply = if operation.blob { quote!(into_blob()) } else { quote!(into_raw()) };
        quote! {
            let shared = ::std::sync::Arc::clone(&api);
            routes.add(&#modules::#module::operations::#constant, move |call| {
                let api = ::std::sync::Arc::clone(&shared);
                Box::pin(async move { api.#name(&call #(, #values)*).await?.#into_reply })
            });
        }
    }
}

pub(super) fn api_name(service: &Service) -> proc_macro2::Ident {
    format_ident!("{}Api", name_of(service))
}

/// The name of a service as part of those of its types.
pub(super) fn name_of(service: &Service) -> String {
    let name = service.client.clone().unwrap_or_else(|| pascal(&service.module));
    name.trim_end_matches('_').to_owned()
}

fn query_name(operation: &Operation) -> proc_macro2::Ident {
    format_ident!("{}Query", pascal(&operation.name))
}

fn query_struct(operation: &Operation) -> Option<TokenStream> {
    if operation.query.is_empty() {
        return None;
    }
    let name = query_name(operation);
    let summary = format!(" The query of `{}`.", operation.name);
    let fields = operation.query.iter().map(|parameter| {
        let (field, doc) = (ident(&parameter.ident), format!(" `{}`.", parameter.name.replace('`', "")));
        let of = match parameter.kind {
            QueryKind::Text => quote!(String),
            QueryKind::Number => quote!(u32),
            QueryKind::Flag => quote!(bool),
        };
        quote!(#[doc = #doc] pub #field: Option<#of>)
    });
    Some(quote! {
        #[doc = #summary]
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct #name { #(#fields),* }
    })
}
