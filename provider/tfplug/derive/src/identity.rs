//! `#[derive(Identity)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::options;

/// Implements `Identity`.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = crate::fields(input)?;
    if fields.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "an identity names something, so it has fields",
        ));
    }
    let options = options::of_struct(&input.attrs, &["version"])?;
    let ident = &input.ident;
    let version = options
        .version
        .map_or_else(|| quote!(0), |version| quote!(#version));
    let mut attributes = Vec::new();
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    for field in fields {
        let Some(field_ident) = &field.ident else { continue };
        let options = options::of_field(&field.attrs, &["optional", "name"])?;
        let name = options::name(options.name.as_ref(), field_ident)?;
        let description = options::description(&field.attrs);
        let required = !options.optional;
        let ty = &field.ty;
        attributes.push(quote! {
            ::tfplug::identity::IdentityAttribute {
                name: ::std::string::String::from(#name),
                ty: <#ty as ::tfplug::identity::IdentityField>::ty(),
                required_for_import: #required,
                description: ::std::string::String::from(#description),
            }
        });
        reads.push(quote!(#field_ident: ::tfplug::model::read_attribute(value, #name, &mut path)?));
        writes.push(quote!((#name, ::tfplug::model::Field::write_field(&self.#field_ident))));
    }
    Ok(quote! {
        impl ::tfplug::identity::Identity for #ident {
            fn schema() -> ::tfplug::identity::IdentitySchema {
                ::tfplug::identity::IdentitySchema {
                    version: #version,
                    attributes: ::std::vec![#(#attributes),*],
                }
            }

            fn read(
                value: &::tfplug::value::Value,
            ) -> ::core::result::Result<Self, ::tfplug::value::CodecError> {
                let mut path = ::tfplug::path::Path::root();
                ::core::result::Result::Ok(Self { #(#reads),* })
            }

            fn write(&self) -> ::tfplug::value::Value {
                ::tfplug::value::Value::object([#(#writes),*])
            }
        }
    })
}
