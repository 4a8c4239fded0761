//! `#[derive(Arguments)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use crate::options;

/// Implements `Arguments`.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = crate::fields(input)?;
    let ident = &input.ident;
    let last = fields.len().saturating_sub(1);
    let mut parameters = Vec::new();
    let mut variadic = quote!(::core::option::Option::None);
    let mut reads = Vec::new();
    for (position, field) in fields.into_iter().enumerate() {
        let Some(field_ident) = &field.ident else { continue };
        let options = options::of_field(&field.attrs, &["variadic", "name"])?;
        let name = options::name(options.name.as_ref(), field_ident)?;
        let description = options::description(&field.attrs);
        let ty = &field.ty;
        if options.variadic {
            if position != last {
                return Err(Error::new_spanned(
                    field,
                    "only the last parameter can be variadic",
                ));
            }
            let each = quote!(<#ty as ::core::iter::IntoIterator>::Item);
            variadic = quote! {
                ::core::option::Option::Some(::tfplug::function::Parameter::of::<#each>(#name, #description))
            };
            reads.push(quote!(#field_ident: ::tfplug::function::arguments_from(arguments, #position)?));
        } else {
            parameters.push(quote!(::tfplug::function::Parameter::of::<#ty>(#name, #description)));
            reads.push(quote!(#field_ident: ::tfplug::function::argument(arguments, #position)?));
        }
    }
    Ok(quote! {
        impl ::tfplug::function::Arguments for #ident {
            fn parameters() -> (
                ::std::vec::Vec<::tfplug::function::Parameter>,
                ::core::option::Option<::tfplug::function::Parameter>,
            ) {
                (::std::vec![#(#parameters),*], #variadic)
            }

            fn read(
                arguments: &[::tfplug::value::Value],
            ) -> ::core::result::Result<Self, ::tfplug::function::FunctionError> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}
