//! Derives of `tfplug`: schema and codec from one struct, with its doc comments.
//!
//! Each derive is documented at the trait that it implements: `tfplug::model`, `tfplug::identity::Identity` and
//! `tfplug::function::Arguments`. Use them from there.

mod arguments;
mod identity;
mod model;
mod options;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Field, Fields, parse_macro_input};

/// Makes a struct a model: its fields are the attributes of a schema.
#[proc_macro_derive(Model, attributes(tf))]
pub fn model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(model::derive(&input))
}

/// Makes a struct the identity of a resource type.
#[proc_macro_derive(Identity, attributes(tf))]
pub fn identity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(identity::derive(&input))
}

/// Makes a struct the parameters of a function.
#[proc_macro_derive(Arguments, attributes(tf))]
pub fn arguments(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    finish(arguments::derive(&input))
}

fn finish(derived: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    derived.unwrap_or_else(Error::into_compile_error).into()
}

/// Returns the fields of a struct with names and without generics.
fn fields(input: &DeriveInput) -> syn::Result<Vec<&Field>> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "it cannot be generic: its schema is one",
        ));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter().collect()),
            Fields::Unit => Ok(Vec::new()),
            Fields::Unnamed(fields) => Err(Error::new_spanned(fields, "its fields need names")),
        },
        Data::Enum(_) | Data::Union(_) => Err(Error::new_spanned(&input.ident, "it has to be a struct")),
    }
}
