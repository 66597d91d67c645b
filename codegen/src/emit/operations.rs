//! What a reference says about its methods, as constants.

use proc_macro2::TokenStream;
use quote::quote;

use super::docs::{doc, first_sentence};
use super::{Emitter, ident};
use crate::model::{Operation, Scopes, Service};

impl Emitter<'_> {
    pub(super) fn operations(&self, service: &Service) -> TokenStream {
        let runtime = &self.runtime;
        let names: Vec<_> = service.operations.iter().map(|operation| ident(&constant(operation))).collect();
        let statics = service.operations.iter().map(|operation| self.operation(service, operation));
        quote! {
            #[doc = " What the reference says about each method, as data."]
            pub mod operations {
                #(#statics)*
                #[doc = " All methods in the order of the reference."]
                pub static ALL: &[&#runtime::operation::Operation] = &[#(&#names),*];
            }
        }
    }

    fn operation(&self, service: &Service, operation: &Operation) -> TokenStream {
        let runtime = &self.runtime;
        let constant = ident(&constant(operation));
        let summary = first_sentence(&operation.description);
        let doc = doc(&[if summary.is_empty() { format!("The method `{}`.", operation.name) } else { summary }]);
        let (service, version, name, route) = (&service.name, &service.version, &operation.name, &operation.route);
        let method = ident(&format!("{:?}", operation.method));
        let stability = ident(&format!("{:?}", operation.stability));
        let args = operation.args.iter().map(|argument| &argument.name);
        let query = operation.query.iter().map(|parameter| &parameter.name);
        let input = option(operation.input.as_ref().map(|body| {
            let schema = format!("{}#", body.schema);
            quote!(#schema)
        }));
        let output = option(match &operation.output {
            Some(body) => {
                let schema = format!("{}#", body.schema);
                Some(quote!(#schema))
            }
            None => operation.blob.then(|| quote!(#runtime::operation::BLOB)),
        });
        let scopes = option(operation.scopes.as_ref().map(|scopes| {
            let scopes = self.scopes(scopes);
            quote!(&#scopes)
        }));
        let idempotent = operation.idempotent;
        quote! {
            #doc
            pub static #constant: #runtime::operation::Operation = #runtime::operation::Operation {
                service: #service,
                version: #version,
                name: #name,
                method: #runtime::operation::Method::#method,
                route: #route,
                args: &[#(#args),*],
                query: &[#(#query),*],
                input: #input,
                output: #output,
                scopes: #scopes,
                idempotent: #idempotent,
                stability: #runtime::operation::Stability::#stability,
            };
        }
    }

    fn scopes(&self, scopes: &Scopes) -> TokenStream {
        let runtime = &self.runtime;
        let template = quote!(#runtime::scopes::ScopeTemplate);
        match scopes {
            Scopes::Scope(scope) => quote!(#template::Scope(#scope)),
            Scopes::AllOf(parts) => {
                let parts = parts.iter().map(|part| self.scopes(part));
                quote!(#template::AllOf(&[#(#parts),*]))
            }
            Scopes::AnyOf(parts) => {
                let parts = parts.iter().map(|part| self.scopes(part));
                quote!(#template::AnyOf(&[#(#parts),*]))
            }
            Scopes::ForEach { variable, list, each } => {
                quote!(#template::ForEach { variable: #variable, list: #list, each: #each })
            }
            Scopes::If { condition, then, otherwise } => {
                let then = self.scopes(then);
                let otherwise = option(otherwise.as_ref().map(|otherwise| {
                    let otherwise = self.scopes(otherwise);
                    quote!(&#otherwise)
                }));
                quote!(#template::If { condition: #condition, then: &#then, otherwise: #otherwise })
            }
        }
    }
}

/// The name of a method's constant.
pub(super) fn constant(operation: &Operation) -> String {
    let name = operation.function.to_ascii_uppercase();
    if name == "ALL" { "ALL_".to_owned() } else { name }
}

pub(super) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(Some(#value)),
        None => quote!(None),
    }
}
