//! How structs are read, written and shown. What all of them have in common stands in `taskcluster_core::wire`.
//!
//! Names in generated functions that end in `_` cannot be those of fields.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::types::{map_of, unboxed};
use super::{Emitter, ident};
use crate::model::{Field, Shape, Struct, Type, TypeRef};

impl Emitter<'_> {
    /// The implementations of a struct.
    pub(super) fn object(&self, of: &Type, structure: &Struct) -> TokenStream {
        let (runtime, wire, name, text) = (&self.runtime, self.wire(), ident(&of.name), &of.name);
        let fields = structure.fields.iter().map(|field| &field.name);
        let tag = structure.tag.iter().map(|(property, _)| property);
        let known = fields.chain(tag);
        let read = self.read(structure);
        let write = self.write(structure);
        let debug = self.debug(of, structure);
        quote! {
            impl #wire::Object for #name {
                const NAME: &'static str = #text;
                const FIELDS: &'static [&'static str] = &[#(#known),*];
                fn read<'de, D: ::serde::de::MapAccess<'de>>(mut object_: #wire::Reading<D>) -> Result<Self, D::Error> {
                    #read
                }
                fn write<S: ::serde::ser::SerializeMap>(&self, object_: &mut S) -> Result<(), S::Error> { #write }
            }
            #runtime::__serde_of_object!(#name);
            #debug
        }
    }

    fn wire(&self) -> TokenStream {
        let runtime = &self.runtime;
        quote!(#runtime::wire)
    }

    fn read(&self, structure: &Struct) -> TokenStream {
        let locals = structure.fields.iter().map(|field| {
            let name = ident(&field.ident);
            quote!(let mut #name = None;)
        });
        let reads = structure.fields.iter().map(|field| {
            let name = ident(&field.ident);
            if reads_option(field) { quote!(#name = object_.value()?) } else { quote!(#name = Some(object_.value()?)) }
        });
        let values = structure.fields.iter().map(|field| {
            let (name, wire) = (ident(&field.ident), &field.name);
            match (field.required, self.may_be_null(&field.of)) {
                (true, false) => quote!(#name: object_.required(#name, #wire)?),
                // As if `null` had been there.
                (true, true) => quote!(#name: #name.unwrap_or_default()),
                (false, _) => quote!(#name),
            }
        });
        match &structure.additional {
            Some((name, of)) => {
                let (wire, name, of) = (self.wire(), ident(name), self.of(&map_of(of)));
                let reads = numbered(reads).map(|(place, read)| quote!(#wire::Name::Known(#place) => #read,));
                quote! {
                    #(#locals)*
                    let mut #name: #of = Default::default();
                    while let Some(name_) = object_.name()? {
                        match name_ {
                            #(#reads)*
                            #wire::Name::Known(_) => object_.skip()?,
                            #wire::Name::Other(name_) => { #name.insert(name_, object_.value()?); }
                        }
                    }
                    Ok(Self { #(#values,)* #name })
                }
            }
            None => {
                let unknown = unknown_fields(structure);
                let reads = numbered(reads).map(|(place, read)| quote!(#place => #read,));
                quote! {
                    #(#locals)*
                    while let Some(field_) = object_.next()? {
                        match field_ {
                            #(#reads)*
                            _ => object_.skip()?,
                        }
                    }
                    Ok(Self { #(#values,)* #unknown: object_.unknown_fields() })
                }
            }
        }
    }

    fn write(&self, structure: &Struct) -> TokenStream {
        let wire = self.wire();
        let tag = structure.tag.iter().map(|(name, value)| quote!(object_.serialize_entry(#name, #value)?;));
        let fields = structure.fields.iter().map(|field| {
            let (ident, name) = (ident(&field.ident), &field.name);
            if field.required {
                quote!(object_.serialize_entry(#name, &self.#ident)?;)
            } else {
                quote!(#wire::optional(object_, #name, &self.#ident)?;)
            }
        });
        let others = match &structure.additional {
            Some((name, _)) => ident(name),
            None => unknown_fields(structure),
        };
        quote!(#(#tag)* #(#fields)* #wire::others(object_, &self.#others, Self::FIELDS))
    }

    /// Unlike a derived one it does not show that there are no unknown fields.
    fn debug(&self, of: &Type, structure: &Struct) -> TokenStream {
        if structure.additional.is_some() {
            return TokenStream::new();
        }
        let (wire, name, text, unknown) = (self.wire(), ident(&of.name), &of.name, unknown_fields(structure));
        let fields = structure.fields.iter().map(|field| {
            let (ident, name) = (ident(&field.ident), &field.ident);
            quote!((#name, &self.#ident))
        });
        quote! {
            impl ::core::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    #wire::debug(f, #text, &[#(#fields),*], &self.#unknown)
                }
            }
        }
    }

    fn may_be_null(&self, of: &TypeRef) -> bool {
        let is_null = |of: &TypeRef| matches!(unboxed(of), TypeRef::Nullable(_));
        is_null(of) || matches!(self.shape_of(of), Some(Shape::Newtype(inner)) if is_null(inner))
    }
}

/// The field for what the schema does not name, unless it invites that.
pub(super) fn unknown_fields(structure: &Struct) -> proc_macro2::Ident {
    let mut name = "unknown_fields".to_owned();
    while structure.fields.iter().any(|field| field.ident == name) {
        name.push('_');
    }
    ident(&name)
}

/// Whether `null` and absence are the same for it, so that its value is read as an `Option`.
fn reads_option(field: &Field) -> bool {
    !field.required && !matches!(field.of, TypeRef::Nullable(_))
}

fn numbered(parts: impl Iterator<Item = TokenStream>) -> impl Iterator<Item = (Literal, TokenStream)> {
    parts.enumerate().map(|(place, part)| (Literal::usize_unsuffixed(place), part))
}
