//! Events: exchanges, routing keys, messages.

use proc_macro2::TokenStream;
use quote::quote;

use super::docs::{doc, safe};
use super::operations::option;
use super::{Emitter, ident};
use crate::model::{ArgumentKind, Exchange, Service, Word};
use crate::resolve::snake;

impl Emitter<'_> {
    pub(super) fn events(&self, service: &Service) -> TokenStream {
        let events = service.exchanges.iter().map(|exchange| self.event(service, exchange));
        let names = service.exchanges.iter().map(|exchange| ident(&exchange.ident));
        let described = safe(&service.events);
        let text = if described.is_empty() { "The events of the service.".to_owned() } else { described };
        let doc = doc(&[text]);
        let runtime = &self.runtime;
        quote! {
            #doc
            pub mod events {
                #(#events)*
                #[doc = " All exchanges in the order of the reference."]
                pub static ALL: &[#runtime::operation::Exchange] = &[#(#names::EXCHANGE),*];
            }
        }
    }

    fn event(&self, service: &Service, exchange: &Exchange) -> TokenStream {
        let runtime = &self.runtime;
        let name = ident(&exchange.ident);
        let message = self.of(&exchange.message.of);
        let described = safe(&exchange.description);
        let text = if described.is_empty() { format!("The event `{}`.", exchange.name) } else { described };
        let doc = doc(&[text, format!("Exchange `{}`.", exchange.exchange.replace('`', ""))]);
        let (service, wire, full) = (&service.name, &exchange.name, &exchange.exchange);
        let fields = exchange.words.iter().map(|word| {
            let (name, required, multiple) = (&word.name, word.required, word.multiple_words);
            let constant = option(word.constant.as_ref().map(|constant| quote!(#constant)));
            quote! {
                #runtime::operation::KeyField {
                    name: #name, constant: #constant, required: #required, multiple_words: #multiple,
                }
            }
        });
        let key = self.key(exchange);
        let (binding, pattern) = self.binding(exchange);
        let function = ident(&snake(&exchange.ident));
        let function_doc =
            format!(" The messages of `{wire}`: a pattern of their routing keys, to be narrowed and listened to.");
        quote! {
            #doc
            #[derive(Clone, Copy, Debug)]
            pub struct #name;
            impl #name {
                #[doc = " The exchange and the words of its routing keys."]
                pub const EXCHANGE: #runtime::operation::Exchange = #runtime::operation::Exchange {
                    service: #service,
                    name: #wire,
                    exchange: #full,
                    routing_key: &[#(#fields),*],
                };
                #[doc = " A pattern of routing keys, which fits all messages until told otherwise."]
                #[must_use]
                pub fn binding() -> #binding { #binding::new() }
                #key
            }
            impl #runtime::operation::Event for #name {
                type Message = #message;
                const EXCHANGE: #runtime::operation::Exchange = Self::EXCHANGE;
            }
            #[doc = #function_doc]
            #[must_use]
            pub fn #function() -> #binding { #name::binding() }
            impl #runtime::operation::EventPattern for #binding {
                type Event = #name;
            }
            #pattern
        }
    }

    /// The function that makes the routing key of a message.
    fn key(&self, exchange: &Exchange) -> TokenStream {
        let runtime = &self.runtime;
        let words: Vec<(&Word, &String)> = exchange.words.iter().zip(&exchange.idents).collect();
        let params = words.iter().filter(|(word, _)| is_given(word)).map(|(word, name)| {
            let (name, kind) = (ident(name), crate::resolve::kind_of(&word.name));
            let of = match kind {
                ArgumentKind::TaskId => quote!(&#runtime::ids::TaskId),
                ArgumentKind::RunId => quote!(#runtime::ids::RunId),
                ArgumentKind::Text => quote!(&str),
            };
            if word.required { quote!(#name: #of) } else { quote!(#name: Option<#of>) }
        });
        let parts = words.iter().map(|(word, name)| {
            let name = ident(name);
            match &word.constant {
                Some(constant) => quote!(String::from(#constant)),
                None if !is_given(word) => quote!(String::from("_")),
                None if word.required => quote!(ToString::to_string(&#name)),
                None => quote! {
                    #name.map_or_else(|| String::from("_"), |word| ToString::to_string(&word))
                },
            }
        });
        quote! {
            #[doc = " The routing key of a message; words that are left out become `_`."]
            #[must_use]
            pub fn key(#(#params),*) -> String { [#(#parts),*].join(".") }
        }
    }

    /// The builder of patterns.
    fn binding(&self, exchange: &Exchange) -> (TokenStream, TokenStream) {
        let runtime = &self.runtime;
        let name = ident(&exchange.key);
        let initial = exchange.words.iter().map(|word| match &word.constant {
            Some(constant) => constant.as_str(),
            None if word.multiple_words => "#",
            None => "*",
        });
        let count = exchange.words.len();
        let words = exchange.words.iter().zip(&exchange.idents).enumerate();
        let setters = words.filter(|(_, (word, _))| word.constant.is_none()).map(|(index, (word, name))| {
            let summary = safe(&word.summary);
            let doc =
                doc(&[if summary.is_empty() { format!("Only messages with this `{}`.", word.name) } else { summary }]);
            let (name, of) = (
                ident(name),
                match crate::resolve::kind_of(&word.name) {
                    ArgumentKind::TaskId => quote!(&#runtime::ids::TaskId),
                    ArgumentKind::RunId => quote!(impl Into<#runtime::ids::RunId>),
                    ArgumentKind::Text => quote!(&str),
                },
            );
            let value = match crate::resolve::kind_of(&word.name) {
                ArgumentKind::RunId => quote!(Into::<#runtime::ids::RunId>::into(value)),
                _ => quote!(value),
            };
            quote! {
                #doc
                #[must_use]
                pub fn #name(mut self, value: #of) -> Self {
                    self.words[#index] = ToString::to_string(&#value);
                    self
                }
            }
        });
        let task_queue = self.task_queue(exchange);
        let summary = format!(" A pattern of routing keys of `{}`.", exchange.name);
        let code = quote! {
            #[doc = #summary]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct #name { words: [String; #count] }
            impl #name {
                fn new() -> Self { Self { words: [#(String::from(#initial)),*] } }
                #(#setters)*
                #task_queue
                #[doc = " The pattern as AMQP writes it: `*` stands for any word, `#` for any number of them."]
                #[must_use]
                pub fn pattern(&self) -> String { self.words.join(".") }
            }
            impl ::core::fmt::Display for #name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { f.pad(&self.pattern()) }
            }
        };
        (quote!(#name), code)
    }

    /// The setter for a task queue, where both halves of its name are words and the name itself is none.
    fn task_queue(&self, exchange: &Exchange) -> Option<TokenStream> {
        let at = |name: &str| exchange.words.iter().position(|word| word.name == name && word.constant.is_none());
        let (provisioner_id, worker_type) = (at("provisionerId")?, at("workerType")?);
        if at("taskQueueId").is_some() {
            return None;
        }
        let runtime = &self.runtime;
        Some(quote! {
            #[doc = " Only messages about this task queue: its `provisionerId` and its `workerType`."]
            #[must_use]
            pub fn task_queue_id(mut self, value: &#runtime::ids::TaskQueueId) -> Self {
                self.words[#provisioner_id] = String::from(value.provisioner_id());
                self.words[#worker_type] = String::from(value.worker_type());
                self
            }
        })
    }
}

/// Whether a publisher has something to say about a word.
fn is_given(word: &Word) -> bool {
    word.constant.is_none() && (word.required || word.name != "reserved")
}
