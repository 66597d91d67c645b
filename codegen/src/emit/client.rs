//! The client: a method per operation, and builders for those with a query of their own.
//!
//! All of it is `#[inline]`, so that it is compiled where it is called: a program pays for the methods that it uses, with
//! all that reading their answers takes, and not for hundreds of others.

use proc_macro2::TokenStream;
use quote::quote;

use super::docs::{doc, safe};
use super::operations::constant;
use super::{Emitter, ident};
use crate::model::{ArgumentKind, Method, Operation, QueryKind, QueryParameter, Scopes, Service, Stability};

impl Emitter<'_> {
    pub(super) fn client_module(&self, service: &Service) -> TokenStream {
        let Some(name) = &service.client else { return TokenStream::new() };
        let (name, runtime) = (ident(name), &self.runtime);
        let title =
            if service.title.is_empty() { format!("The service {}.", service.name) } else { service.title.clone() };
        let doc = doc(&[safe(&title), safe(&service.description)]);
        let methods = service.operations.iter().map(|operation| self.method(service, operation));
        let builders = service.operations.iter().map(|operation| self.builder(operation));
        let summary = format!(" A client of {} that calls through this.", service.name);
        quote! {
            #doc
            #[derive(Clone, Debug)]
            pub struct #name { caller: #runtime::caller::Caller }
            impl #name {
                #[doc = #summary]
                #[must_use]
                pub fn new(caller: #runtime::caller::Caller) -> Self { Self { caller } }
                #[doc = " What it calls through."]
                #[must_use]
                pub fn caller(&self) -> &#runtime::caller::Caller { &self.caller }
                #(#methods)*
            }
            #(#builders)*
        }
    }

    fn method(&self, service: &Service, operation: &Operation) -> TokenStream {
        let runtime = &self.runtime;
        let (name, constant) = (ident(&operation.function), ident(&constant(operation)));
        let doc = method_doc(operation, &self.example(service, operation));
        let deprecated =
            (operation.stability == Stability::Deprecated).then(|| quote!(#[deprecated = "the service gives it up"]));
        let params = operation.args.iter().map(|argument| {
            let name = ident(&argument.ident);
            match argument.kind {
                ArgumentKind::TaskId => quote!(#name: &#runtime::ids::TaskId),
                ArgumentKind::RunId => quote!(#name: impl Into<#runtime::ids::RunId>),
                ArgumentKind::Text => quote!(#name: &str),
            }
        });
        let values = operation.args.iter().map(|argument| {
            let name = ident(&argument.ident);
            match argument.kind {
                ArgumentKind::TaskId => quote!(#name),
                ArgumentKind::RunId => {
                    quote!(&Into::<#runtime::ids::RunId>::into(#name))
                }
                ArgumentKind::Text => quote!(&#name),
            }
        });
        let payload = operation.input.as_ref().map(|body| {
            let of = self.of(&body.of);
            quote!(, payload: &#of)
        });
        let with_body = operation.input.as_ref().map(|_| quote!(.with_body(payload)));
        let inner = self.request_of(operation);
        let kind = if operation.pages.is_some() { quote!(Paged) } else { quote!(Request) };
        let request =
            quote!(#runtime::request::#kind::new(&self.caller, &operations::#constant, &[#(#values),*])#with_body);
        let (returns, request) = match &operation.builder {
            Some(builder) => {
                let builder = ident(builder);
                (quote!(#builder), quote!(#builder { request: #request }))
            }
            None => (inner, request),
        };
        quote! {
            #doc
            #deprecated
            #[inline]
            pub fn #name(&self #(, #params)* #payload) -> #returns { #request }
        }
    }

    fn request_of(&self, operation: &Operation) -> TokenStream {
        let (runtime, answer) = (&self.runtime, self.answer(operation));
        if operation.pages.is_some() {
            quote!(#runtime::request::Paged<#answer>)
        } else {
            quote!(#runtime::request::Request<#answer>)
        }
    }

    fn builder(&self, operation: &Operation) -> TokenStream {
        let Some(builder) = &operation.builder else { return TokenStream::new() };
        let (runtime, answer, inner) = (&self.runtime, self.answer(operation), self.request_of(operation));
        let name = ident(builder);
        let summary = format!(" A request of `{}` with its query, sent by `.await`.", operation.name);
        let setters = operation.query.iter().map(|parameter| setter(parameter, operation.pages.is_some()));
        let result = |of: TokenStream| quote!(Result<#of, #runtime::error::Error>);
        let (bytes, url, answered) = (
            result(quote!(#runtime::__private::bytes::Bytes)),
            result(quote!(#runtime::__private::url::Url)),
            result(answer.clone()),
        );
        let streams = operation.pages.is_some().then(|| {
            let item = result(quote!(<#answer as #runtime::request::Page>::Item));
            let items = result(quote!(Vec<<#answer as #runtime::request::Page>::Item>));
            let stream = quote!(#runtime::__private::Stream);
            quote! {
                #[doc = " All pages, fetched as needed."]
                #[inline]
                pub fn pages(self) -> impl #stream<Item = #answered> + Send { self.request.pages() }
                #[doc = " All items of all pages, fetched as needed."]
                #[inline]
                pub fn stream(self) -> impl #stream<Item = #item> + Send { self.request.stream() }
                #[doc = " All items of all pages, in memory."]
                #[doc = ""]
                #[doc = " # Errors"]
                #[doc = " As those of the request itself; what had come before is lost."]
                #[inline]
                pub async fn all(self) -> #items { self.request.all().await }
            }
        });
        let open = operation.blob.then(|| {
            let response = result(quote!(#runtime::__private::http::Response<#runtime::transport::Body>));
            quote! {
                #[doc = " Sends it and gives the answer as soon as it begins; its body is read as it comes."]
                #[doc = ""]
                #[doc = " # Errors"]
                #[doc = " As those of the request itself; what breaks later is an error of the body."]
                pub async fn open(self) -> #response { self.request.open().await }
            }
        });
        quote! {
            #[doc = #summary]
            #[derive(Debug)]
            #[must_use = "a request is sent by `.await`"]
            pub struct #name { request: #inner }
            impl #name {
                #(#setters)*
                #streams
                #open
                #[doc = " Sends it and gives the body as it came."]
                #[doc = ""]
                #[doc = " # Errors"]
                #[doc = " As those of the request itself."]
                #[inline]
                pub async fn raw(self) -> #bytes { self.request.raw().await }
                #[doc = " Where it would be sent."]
                #[doc = ""]
                #[doc = " # Errors"]
                #[doc = " An argument does not fit into a URL."]
                #[inline]
                pub fn url(self) -> #url { self.request.url() }
                #[doc = " A URL that carries the permission to send it, for this long."]
                #[doc = ""]
                #[doc = " # Errors"]
                #[doc = " There are no credentials to sign with."]
                #[inline]
                pub fn signed_for(self, time: ::core::time::Duration) -> #url { self.request.signed_for(time) }
            }
            #runtime::__request_settings!(#name);
            impl #runtime::request::Call for #name {
                fn outline(&self) -> #runtime::request::Outline<'_> { self.request.outline() }
            }
            impl IntoFuture for #name {
                type Output = <#inner as IntoFuture>::Output;
                type IntoFuture = <#inner as IntoFuture>::IntoFuture;
                #[inline]
                fn into_future(self) -> Self::IntoFuture { IntoFuture::into_future(self.request) }
            }
        }
    }
}

fn setter(parameter: &QueryParameter, is_paged: bool) -> TokenStream {
    let (setter, name) = (ident(&parameter.setter), &parameter.name);
    let doc = format!(" Sets the query parameter `{}`.", name.replace('`', ""));
    let of = match parameter.kind {
        QueryKind::Number => quote!(u32),
        QueryKind::Flag => quote!(bool),
        QueryKind::Text => quote!(impl ::core::fmt::Display),
    };
    // A list remembers where it is, so it has to be told of the two by their names.
    let set = match (is_paged, name.as_str()) {
        (true, "limit") => quote!(limit(value)),
        (true, "continuationToken") => quote!(continuation_token(ToString::to_string(&value))),
        _ => quote!(query(#name, value)),
    };
    quote! {
        #[doc = #doc]
        #[inline]
        pub fn #setter(self, value: #of) -> Self { Self { request: self.request.#set } }
    }
}

/// What a caller has to know about a method.
fn method_doc(operation: &Operation, example: &str) -> TokenStream {
    let text = description(operation);
    let route = route_doc(operation);
    let stability = match operation.stability {
        Stability::Stable => ", stable",
        Stability::Experimental => ", experimental",
        Stability::Deprecated => ", deprecated",
    };
    let repeat = if operation.idempotent { "" } else { ", not sent again when an answer is lost" };
    let facts = format!("{route}{stability}{repeat}");
    let scopes = scopes_section(operation);
    let pages = match &operation.pages {
        Some(_) => "One page by `.await`; all by `.pages()`, item by item by `.stream()`, or at once by `.all()`.",
        None if operation.blob => {
            "No schema describes the body of the answer. It is given as it came: whole by `.await`, while it comes by `.open()`."
        }
        None => "",
    };
    doc(&[text.as_str(), pages, &facts, example, &scopes, &errors_doc(operation)])
}

/// What a method does.
pub(super) fn description(operation: &Operation) -> String {
    let described = safe(&operation.description);
    let title = safe(&operation.title);
    match (described.is_empty(), title.is_empty()) {
        (false, _) => described,
        (true, false) => title,
        (true, true) => format!("The method `{}`.", operation.name),
    }
}

/// Where a method is found.
pub(super) fn route_doc(operation: &Operation) -> String {
    format!("`{} {}`", verb(operation.method), code(&operation.route))
}

/// What a caller must hold.
pub(super) fn scopes_section(operation: &Operation) -> String {
    match &operation.scopes {
        Some(scopes) => format!("# Scopes\n{}", scopes_doc(scopes)),
        None => String::new(),
    }
}

fn errors_doc(operation: &Operation) -> String {
    let mut errors: Vec<&str> = Vec::new();
    if operation.input.is_some() {
        errors.push("`InputValidationError` (400): the payload does not fit its schema");
    }
    if !operation.args.is_empty() || !operation.query.is_empty() {
        errors.push("`InvalidRequestArguments` (400): an argument is not valid");
    }
    if operation.scopes.is_some() {
        errors.push("`AuthenticationFailed` (401): the credentials are not valid");
        errors.push("`InsufficientScopes` (403): the credentials lack scopes");
    }
    if !operation.args.is_empty() {
        errors.push("`ResourceNotFound` (404): there is no such thing");
    }
    if matches!(operation.method, Method::Put | Method::Post | Method::Patch | Method::Delete) {
        errors.push("`RequestConflict` (409): it is at odds with the present state");
    }
    if errors.is_empty() {
        return "# Errors\nThe service cannot be reached or fails.".to_owned();
    }
    let list = errors.iter().map(|error| format!("- {error}\n")).collect::<String>();
    format!("# Errors\nThe service cannot be reached or fails; besides, it may answer\n{list}")
}

/// A scope expression as nested lists.
fn scopes_doc(scopes: &Scopes) -> String {
    let mut lines = Vec::new();
    list_scopes(scopes, 0, &mut lines);
    lines.join("\n")
}

fn list_scopes(scopes: &Scopes, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let mut line = |text: String| lines.push(format!("{indent}- {text}"));
    match scopes {
        Scopes::Scope(scope) => line(format!("`{}`", code(scope))),
        Scopes::ForEach { variable, list, each } => {
            line(format!("`{}` for each `{}` in `{}`", code(each), code(variable), code(list)));
        }
        Scopes::AllOf(parts) | Scopes::AnyOf(parts) => {
            line(if matches!(scopes, Scopes::AllOf(_)) { "all of" } else { "one of" }.to_owned());
            parts.iter().for_each(|part| list_scopes(part, depth + 1, lines));
        }
        Scopes::If { condition, then, otherwise } => {
            line(format!("if `{}`", code(condition)));
            list_scopes(then, depth + 1, lines);
            if let Some(otherwise) = otherwise {
                lines.push(format!("{indent}- otherwise"));
                list_scopes(otherwise, depth + 1, lines);
            }
        }
    }
}

fn code(text: &str) -> String {
    text.chars().filter(|c| *c != '`' && !c.is_control()).collect()
}

fn verb(method: Method) -> String {
    format!("{method:?}").to_ascii_uppercase()
}
