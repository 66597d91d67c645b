//! Structs, enumerations and unions.

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;

use super::docs::{doc, safe};
use super::objects::unknown_fields;
use super::{Emitter, ident};
use crate::model::{EnumVariant, Field, Service, Shape, Struct, Type, TypeRef, Union, UnionVariant};

impl Emitter<'_> {
    /// All types of a service.
    pub(super) fn types(&self, service: &Service) -> TokenStream {
        let types = service.types.iter().map(|of| match &of.shape {
            Shape::Struct(structure) => self.structure(of, structure),
            Shape::Enum { variants } => enumeration(of, variants),
            Shape::Union(union) => self.union(of, union),
            Shape::Newtype(inner) => self.newtype(of, inner),
        });
        let pages = self.pages(service);
        quote!(#(#types)* #pages)
    }

    fn structure(&self, of: &Type, structure: &Struct) -> TokenStream {
        let runtime = &self.runtime;
        let name = ident(&of.name);
        let doc = type_doc(of);
        let fields = structure.fields.iter().map(|field| self.field(field));
        let (others, debug) = match &structure.additional {
            Some((name, of)) => {
                let (name, of) = (ident(name), self.of(&map_of(of)));
                (quote!(#[doc = " All other properties."] pub #name: #of,), quote!(, Debug))
            }
            None => {
                let name = unknown_fields(structure);
                let of = quote!(#runtime::unknown_fields::UnknownFields);
                (quote!(#[doc = " What a newer service adds: kept, and written again."] pub #name: #of,), quote!())
            }
        };
        let can_derive = structure.fields.iter().all(|field| !field.required);
        let default = can_derive.then(|| quote!(, Default));
        let methods = self.methods(of, structure, can_derive);
        let object = self.object(of, structure);
        quote! {
            #doc
            #[derive(Clone, PartialEq #debug #default)]
            #[non_exhaustive]
            pub struct #name { #(#fields)* #others }
            #methods
            #object
        }
    }

    fn field(&self, field: &Field) -> TokenStream {
        let name = ident(&field.ident);
        let doc = field_doc(field);
        let of = self.of(&field.of);
        if field.required { quote!(#doc pub #name: #of,) } else { quote!(#doc pub #name: Option<#of>,) }
    }

    /// The constructor and a method for each field that it leaves out.
    fn methods(&self, of: &Type, structure: &Struct, derives_default: bool) -> TokenStream {
        let name = ident(&of.name);
        let needed: Vec<&Field> = needed(structure).collect();
        let params = needed.iter().map(|field| {
            let (name, of) = (ident(&field.ident), self.param(&field.of));
            quote!(#name: #of)
        });
        let values = structure.fields.iter().map(|field| {
            let name = ident(&field.ident);
            let value = match (field.required, literal(field, &field.of)) {
                (false, _) => quote!(None),
                (true, Some(literal)) => literal,
                (true, None) => convert(&field.of, &quote!(#name)),
            };
            quote!(#name: #value)
        });
        let others = match &structure.additional {
            Some((name, _)) => ident(name),
            None => unknown_fields(structure),
        };
        let setters = structure.fields.iter().filter(|field| !field.required).map(|field| self.setter(field));
        let additional_setter = structure.additional.as_ref().map(|(name, of)| {
            let (setter, name) = (ident(&format!("with_{name}")), ident(name));
            let of = map_of(of);
            let (param, value) = (self.param(&of), convert(&of, &quote!(value)));
            quote! {
                #[doc = " Sets all other properties."]
                #[must_use]
                pub fn #setter(mut self, value: #param) -> Self { self.#name = #value; self }
            }
        });
        let summary = if needed.is_empty() { " One with nothing set." } else { " One with what is required." };
        let default = (!derives_default && needed.is_empty()).then(|| {
            quote! {
                impl Default for #name {
                    fn default() -> Self { Self::new() }
                }
            }
        });
        quote! {
            impl #name {
                #[doc = #summary]
                #[must_use]
                pub fn new(#(#params),*) -> Self { Self { #(#values,)* #others: Default::default() } }
                #(#setters)*
                #additional_setter
            }
            #default
        }
    }

    fn setter(&self, field: &Field) -> TokenStream {
        let (setter, name) = (ident(&format!("with_{}", field.ident)), ident(&field.ident));
        let (param, value) = (self.param(&field.of), convert(&field.of, &quote!(value)));
        let doc = format!(" Sets `{}`.", field.name);
        quote! {
            #[doc = #doc]
            #[must_use]
            pub fn #setter(mut self, value: #param) -> Self {
                self.#name = Some(#value);
                self
            }
        }
    }

    /// What a function takes to make a value of a type from.
    fn param(&self, of: &TypeRef) -> TokenStream {
        match of {
            TypeRef::Bool | TypeRef::U32 | TypeRef::U64 | TypeRef::I64 | TypeRef::F64 => self.of(of),
            TypeRef::List(items) if !is_plain(items) => {
                let items = self.of(items);
                quote!(impl IntoIterator<Item = impl Into<#items>>)
            }
            TypeRef::List(items) => {
                let items = self.of(items);
                quote!(impl IntoIterator<Item = #items>)
            }
            TypeRef::Map(values) if !is_plain(values) => {
                let values = self.of(values);
                quote!(impl IntoIterator<
                    Item = (impl Into<String>, impl Into<#values>),
                >)
            }
            TypeRef::Map(values) => {
                let values = self.of(values);
                quote!(impl IntoIterator<Item = (impl Into<String>, #values)>)
            }
            TypeRef::Boxed(of) => self.param(of),
            of => {
                let of = self.of(of);
                quote!(impl Into<#of>)
            }
        }
    }

    fn newtype(&self, of: &Type, inner: &TypeRef) -> TokenStream {
        let (name, doc, inner) = (ident(&of.name), type_doc(of), self.of(inner));
        quote! {
            #doc
            #[derive(Clone, Debug, PartialEq, Default, ::serde::Serialize, ::serde::Deserialize)]
            #[serde(transparent)]
            pub struct #name(pub #inner);
            impl From<#inner> for #name {
                fn from(value: #inner) -> Self { Self(value) }
            }
        }
    }

    fn union(&self, of: &Type, union: &Union) -> TokenStream {
        let (name, doc) = (ident(&of.name), type_doc(of));
        let variants = union.variants.iter().map(|variant| {
            let (name, of) = (ident(&variant.ident), self.of(&variant.of));
            let doc = variant_doc(variant);
            quote!(#doc #name(#of),)
        });
        let conversions = union.variants.iter().map(|variant| {
            let ident = ident(&variant.ident);
            let (from, value) = match &variant.of {
                TypeRef::Boxed(of) => (self.of(of), quote!(Box::new(value))),
                of => (self.of(of), quote!(value)),
            };
            quote! {
                impl From<#from> for #name {
                    fn from(value: #from) -> Self { Self::#ident(#value) }
                }
            }
        });
        let read = match &union.tag {
            Some(tag) => read_tagged(tag, &union.variants),
            None => self.read_untagged(&union.variants),
        };
        quote! {
            #doc
            #[derive(Clone, Debug, PartialEq, ::serde::Serialize)]
            #[serde(untagged)]
            #[non_exhaustive]
            pub enum #name {
                #(#variants)*
                #[doc = " Something that this version does not know."]
                Unknown(::serde_json::Value),
            }
            #(#conversions)*
            impl<'de> ::serde::Deserialize<'de> for #name {
                fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let value = <::serde_json::Value as ::serde::Deserialize>::deserialize(deserializer)?;
                    #read
                }
            }
        }
    }

    fn read_untagged(&self, variants: &[UnionVariant]) -> TokenStream {
        let mut variants: Vec<&UnionVariant> = variants.iter().collect();
        variants.sort_by_key(|variant| rank(variant, self.shape_of(&variant.of)));
        let tries = variants.into_iter().map(|variant| {
            let name = ident(&variant.ident);
            let shape = self.shape_of(&variant.of);
            let condition = match shape {
                Some(Shape::Struct(_)) => {
                    let required = &variant.required;
                    let constants = variant.constants.iter().filter_map(|(property, value)| {
                        let value = comparable(value)?;
                        Some(quote!(&& value.get(#property).is_none_or(|found| *found == #value)))
                    });
                    quote!(value.is_object() #(&& value.get(#required).is_some())* #(#constants)* &&)
                }
                _ => TokenStream::new(),
            };
            let refuse_unknown = matches!(shape, Some(Shape::Union(_))).then(|| {
                let of = self.of(unboxed(&variant.of));
                let inner = if matches!(variant.of, TypeRef::Boxed(_)) { quote!(*inner) } else { quote!(inner) };
                quote!(&&!matches!(#inner, #of::Unknown(_)))
            });
            quote! {
                if #condition let Ok(inner) = ::serde::Deserialize::deserialize(&value) #refuse_unknown {
                    return Ok(Self::#name(inner));
                }
            }
        });
        quote!(#(#tries)* Ok(Self::Unknown(value)))
    }

    pub(super) fn shape_of(&self, of: &TypeRef) -> Option<&Shape> {
        let TypeRef::Named { module, name } = unboxed(of) else { return None };
        let service = self.model.services.iter().find(|service| service.module == *module)?;
        service.types.iter().find(|of| of.name == *name).map(|of| &of.shape)
    }

    /// Implements `Page` for the answers of lists, in the module of their type.
    fn pages(&self, service: &Service) -> TokenStream {
        let mut done = std::collections::BTreeSet::new();
        let operations = self.model.services.iter().flat_map(|service| &service.operations);
        let pages = operations.filter_map(|operation| {
            let pages = operation.pages.as_ref()?;
            let TypeRef::Named { module, name } = &operation.output.as_ref()?.of else { return None };
            if *module != service.module || !done.insert(name) {
                return None;
            }
            let of = service.types.iter().find(|of| of.name == *name)?;
            let Shape::Struct(structure) = &of.shape else { return None };
            let items = structure.fields.iter().find(|field| field.ident == pages.items)?;
            let token = structure.fields.iter().find(|field| field.name == "continuationToken")?;
            let TypeRef::List(item) = &items.of else { return None };
            Some(self.page(name, items, item, token))
        });
        quote!(#(#pages)*)
    }

    fn page(&self, name: &str, items: &Field, item: &TypeRef, token: &Field) -> TokenStream {
        let runtime = &self.runtime;
        let (name, item) = (ident(name), self.of(item));
        let (items_ident, token_ident) = (ident(&items.ident), ident(&token.ident));
        let token =
            if token.required { quote!(Some(&self.#token_ident)) } else { quote!(self.#token_ident.as_deref()) };
        let items =
            if items.required { quote!(self.#items_ident) } else { quote!(self.#items_ident.unwrap_or_default()) };
        quote! {
            impl #runtime::request::Page for #name {
                type Item = #item;
                fn continuation_token(&self) -> Option<&str> { #token }
                fn into_items(self) -> Vec<#item> { #items }
            }
        }
    }
}

fn read_tagged(tag: &str, variants: &[UnionVariant]) -> TokenStream {
    let arms = variants.iter().filter_map(|variant| {
        let (name, value) = (ident(&variant.ident), variant.tag.as_ref()?);
        Some(quote!(Some(#value) => ::serde::Deserialize::deserialize(&value).map(Self::#name),))
    });
    quote! {
        let read = match value.get(#tag).and_then(::serde_json::Value::as_str) {
            #(#arms)*
            _ => return Ok(Self::Unknown(value)),
        };
        read.map_err(<D::Error as ::serde::de::Error>::custom)
    }
}

fn enumeration(of: &Type, variants: &[EnumVariant]) -> TokenStream {
    let (name, doc) = (ident(&of.name), type_doc(of));
    let idents: Vec<_> = variants.iter().map(|variant| ident(&variant.ident)).collect();
    let values: Vec<_> = variants.iter().map(|variant| &variant.value).collect();
    let docs = values.iter().map(|value| doc_of_value(value));
    quote! {
        #doc
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum #name {
            #(#[doc = #docs] #idents,)*
            #[doc = " A value that this version does not know."]
            Unknown(String),
        }
        impl #name {
            #[doc = " The value on the wire."]
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    #(Self::#idents => #values,)*
                    Self::Unknown(value) => value,
                }
            }
        }
        impl ::core::fmt::Display for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { f.pad(self.as_str()) }
        }
        impl From<&str> for #name {
            fn from(value: &str) -> Self {
                match value {
                    #(#values => Self::#idents,)*
                    _ => Self::Unknown(String::from(value)),
                }
            }
        }
        impl From<String> for #name {
            fn from(value: String) -> Self { Self::from(value.as_str()) }
        }
        impl ::core::str::FromStr for #name {
            type Err = ::core::convert::Infallible;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(value))
            }
        }
        impl ::serde::Serialize for #name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as ::serde::Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }
    }
}

/// What the constructor of a struct asks for, in its order.
pub(super) fn needed(structure: &Struct) -> impl Iterator<Item = &Field> {
    structure.fields.iter().filter(|field| field.required && literal(field, &field.of).is_none())
}

/// In which order the branches of a union are tried: those that ask for more come first.
fn rank(variant: &UnionVariant, shape: Option<&Shape>) -> (u8, std::cmp::Reverse<usize>) {
    let group = match (&variant.of, shape) {
        (_, Some(Shape::Struct(_))) if variant.required.is_empty() => 5,
        (_, Some(Shape::Struct(_))) => 0,
        (TypeRef::TaskId | TypeRef::Timestamp, _) => 1,
        (TypeRef::Priority | TypeRef::TaskQueueId, _) | (_, Some(Shape::Enum { .. })) => 3,
        (TypeRef::String | TypeRef::Secret | TypeRef::F64, _) => 4,
        (TypeRef::Object | TypeRef::SecretObject, _) => 6,
        _ => 2,
    };
    (group, std::cmp::Reverse(variant.required.len()))
}

fn comparable(value: &Value) -> Option<TokenStream> {
    match value {
        Value::String(text) => Some(quote!(#text)),
        Value::Bool(flag) => Some(quote!(#flag)),
        Value::Number(number) => number.as_u64().map(|number| quote!(#number)),
        _ => None,
    }
}

/// The value of a field that always has the same.
fn literal(field: &Field, of: &TypeRef) -> Option<TokenStream> {
    let value = field.constant.as_ref()?;
    match (of, value) {
        (TypeRef::Bool, Value::Bool(flag)) => Some(quote!(#flag)),
        (TypeRef::String, Value::String(text)) => Some(quote!(String::from(#text))),
        (TypeRef::U32, Value::Number(number)) => u32::try_from(number.as_u64()?).ok().map(|number| quote!(#number)),
        (TypeRef::U64, Value::Number(number)) => number.as_u64().map(|number| quote!(#number)),
        (TypeRef::I64, Value::Number(number)) => number.as_i64().map(|number| quote!(#number)),
        (TypeRef::F64, Value::Number(number)) => number.as_f64().map(|number| quote!(#number)),
        _ => None,
    }
}

pub(super) fn map_of(of: &TypeRef) -> TypeRef {
    match of {
        TypeRef::Json => TypeRef::Object,
        of => TypeRef::Map(Box::new(of.clone())),
    }
}

pub(super) fn unboxed(of: &TypeRef) -> &TypeRef {
    match of {
        TypeRef::Boxed(of) => of,
        of => of,
    }
}

/// Whether values are given as they are.
fn is_plain(of: &TypeRef) -> bool {
    matches!(
        of,
        TypeRef::Bool
            | TypeRef::U32
            | TypeRef::U64
            | TypeRef::I64
            | TypeRef::F64
            | TypeRef::List(_)
            | TypeRef::Map(_)
            | TypeRef::Boxed(_)
    )
}

/// Makes a value from what [`Emitter::param`] asked for.
fn convert(of: &TypeRef, value: &TokenStream) -> TokenStream {
    let into = quote!(Into::into);
    match of {
        TypeRef::Bool | TypeRef::U32 | TypeRef::U64 | TypeRef::I64 | TypeRef::F64 => value.clone(),
        TypeRef::List(items) if is_plain(items) => quote!(Iterator::collect(#value.into_iter())),
        TypeRef::List(_) => quote!(#value.into_iter().map(#into).collect()),
        TypeRef::Map(values) if is_plain(values) => {
            quote!(#value.into_iter().map(|(name, value)| (#into(name), value)).collect())
        }
        TypeRef::Map(_) => quote!(#value.into_iter().map(|(name, value)| (#into(name), #into(value))).collect()),
        TypeRef::Boxed(of) => {
            let value = convert(of, value);
            quote!(Box::new(#value))
        }
        _ => quote!(#into(#value)),
    }
}

fn type_doc(of: &Type) -> TokenStream {
    let described = safe(&of.description);
    let text = if described.is_empty() { format!("The schema `{}`.", of.schema.replace('`', "")) } else { described };
    let rules = if of.has_rules { "The service checks further rules, which this type does not show." } else { "" };
    doc(&[text.as_str(), rules])
}

fn field_doc(field: &Field) -> TokenStream {
    let described = safe(&field.description);
    let text = if described.is_empty() { format!("`{}`.", field.name.replace('`', "")) } else { described };
    let default = match &field.default {
        Some(value) if !field.required => format!("Default: `{}`", value.to_string().replace('`', "")),
        _ => String::new(),
    };
    let constant = match &field.constant {
        Some(value) => format!("Always `{}`.", value.to_string().replace('`', "")),
        None => String::new(),
    };
    doc(&[text, constant, safe(&default)])
}

fn variant_doc(variant: &UnionVariant) -> TokenStream {
    let described = safe(&variant.description);
    match (&variant.tag, described.is_empty()) {
        (_, false) => doc(&[described]),
        (Some(tag), true) => doc(&[format!("`{}`.", tag.replace('`', ""))]),
        (None, true) => doc(&[format!("The branch `{}`.", variant.ident)]),
    }
}

fn doc_of_value(value: &str) -> String {
    let shown: String = value.chars().filter(|c| !c.is_control() && *c != '`').collect();
    if shown.trim().is_empty() { " The empty string.".to_owned() } else { format!(" `{}`.", shown.trim()) }
}
