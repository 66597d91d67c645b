//! A stand-in for a service: a closure per method and a log of the calls.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::server::{api_name, implemented, name_of};
use super::{Emitter, ident};
use crate::model::Service;

impl Emitter<'_> {
    pub(super) fn mock(&self, service: &Service) -> TokenStream {
        let server = &self.server;
        let (name, api) = (format_ident!("{}Mock", name_of(service)), api_name(service));
        let parts = implemented(service).map(|operation| {
            let (field, setter) = (ident(&operation.function), format_ident!("on_{}", operation.function));
            let params: Vec<_> = self.params(operation);
            let (names, types): (Vec<_>, Vec<_>) = params.into_iter().unzip();
            let answer = self.reply(operation);
            let result = quote!(Result<#server::Reply<#answer>, #server::Failure>);
            let function = quote!(Fn(&#server::Call #(, #types)*) -> #result + Send + Sync);
            let signature = self.signature(operation);
            let doc = format!(" Answers `{}` by a closure from now on.", operation.name);
            let field_declaration = quote!(#field: #server::mock::Handler<dyn #function>);
            let set = quote! {
                #[doc = #doc]
                pub fn #setter(&self, handler: impl #function + 'static) -> &Self {
                    self.#field.set(::std::sync::Arc::new(handler));
                    self
                }
            };
            let method = quote! {
                async #signature {
                    self.log.add(call);
                    let handler = self.#field.get(call)?;
                    handler(call #(, #names)*)
                }
            };
            (field_declaration, set, method)
        });
        let mut fields = Vec::new();
        let mut setters = Vec::new();
        let mut methods = Vec::new();
        for (field, setter, method) in parts {
            fields.push(field);
            setters.push(setter);
            methods.push(method);
        }
        let summary = format!(" A stand-in for `{}`: a closure per method, and a log of the calls.", service.name);
        quote! {
            #[doc = #summary]
            #[doc = ""]
            #[doc = " A method without a closure answers 400 `InputError`, which names it. Nobody's scopes are looked at where the reference has them depend"]
            #[doc = " on more than the path: a closure that wants to refuse does it itself."]
            #[derive(Debug, Default)]
            pub struct #name { log: #server::mock::Log, #(#fields),* }
            impl #name {
                #[doc = " One that answers nothing yet."]
                #[must_use]
                pub fn new() -> Self { Self::default() }
                #[doc = " The calls so far, in their order."]
                #[must_use]
                pub fn calls(&self) -> Vec<#server::mock::MockCall> { self.log.calls() }
                #(#setters)*
            }
            #[::async_trait::async_trait]
            impl #api for #name { #(#methods)* }
        }
    }
}
