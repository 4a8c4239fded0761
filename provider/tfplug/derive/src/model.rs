//! `#[derive(Model)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Error, Field, Type, spanned::Spanned};

use crate::options::{self, FieldOptions};

const WORDS: [&str; 14] = [
    "required",
    "optional",
    "computed",
    "default",
    "validate",
    "requires_replace",
    "requires_replace_if",
    "changes_on_update",
    "keep_prior_non_null",
    "same_if",
    "modify",
    "sensitive",
    "deprecated",
    "name",
];

/// Implements `Model`, `Typed` and `Codec`, and makes the typed path.
pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = crate::fields(input)?;
    let options = options::of_struct(&input.attrs, &["version", "deprecated"])?;
    let (ident, vis) = (&input.ident, &input.vis);
    let at = format_ident!("{ident}At");

    let mut parts = Vec::with_capacity(fields.len());
    for field in fields {
        parts.push(Part::new(field)?);
    }
    for (index, part) in parts.iter().enumerate() {
        if parts[..index].iter().any(|other| other.name == part.name) {
            return Err(Error::new(
                part.ident.span(),
                format!("the name `{}` stands twice", part.name),
            ));
        }
    }

    let idents: Vec<_> = parts.iter().map(|part| &part.ident).collect();
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    let types: Vec<_> = parts.iter().map(|part| part.ty).collect();
    let attributes: Vec<_> = parts.iter().map(Part::attribute).collect();
    let checks: Vec<_> = parts.iter().map(Part::checks).collect();
    let steps: Vec<_> = parts.iter().map(|part| part.step(vis)).collect();
    let has_default = parts.iter().any(|part| part.options.default.is_some());
    let has_both = parts
        .iter()
        .any(|part| part.options.optional && part.options.computed);
    let has_same = parts.iter().any(|part| part.options.same_if.is_some());

    let description = options::description(&input.attrs);
    let version = options.version.iter();
    let deprecated = options.deprecated.iter();
    let at_doc = format!("The path of a `{ident}`.");

    Ok(quote! {
        impl ::tfplug::model::Typed for #ident {
            const TRAITS: ::tfplug::model::Traits = ::tfplug::model::Traits {
                object: true,
                default: #has_default,
                optional_computed: #has_both,
                same: #has_same,
                ..::tfplug::model::Traits::NONE
            }
            #(.with(<#types as ::tfplug::model::Field>::TRAITS))*;
            type At = #at;

            fn kind() -> ::tfplug::schema::Kind {
                ::tfplug::schema::Kind::Nested(
                    ::tfplug::schema::Nesting::Single,
                    <Self as ::tfplug::model::Model>::attributes(),
                )
            }

            fn read_at(
                value: &::tfplug::value::Value,
                path: &mut ::tfplug::path::Path,
            ) -> ::core::result::Result<Self, ::tfplug::value::CodecError> {
                if value.entries().is_none() {
                    return ::core::result::Result::Err(::tfplug::model::mismatch("an object", value, path));
                }
                ::core::result::Result::Ok(Self {
                    #(#idents: ::tfplug::model::read_attribute(value, #names, path)?,)*
                })
            }

            fn write_value(&self) -> ::tfplug::value::Value {
                let entries: ::std::vec::Vec<(&str, ::tfplug::value::Value)> = ::std::vec![
                    #((#names, ::tfplug::model::Field::write_field(&self.#idents)),)*
                ];
                ::tfplug::value::Value::object(entries)
            }
        }

        impl ::tfplug::model::Codec for #ident {
            const TRAITS: ::tfplug::model::Traits = <Self as ::tfplug::model::Typed>::TRAITS;

            fn read(
                value: &::tfplug::value::Value,
            ) -> ::core::result::Result<Self, ::tfplug::value::CodecError> {
                <Self as ::tfplug::model::Typed>::read_at(value, &mut ::tfplug::path::Path::root())
            }

            fn write(&self) -> ::tfplug::value::Value {
                <Self as ::tfplug::model::Typed>::write_value(self)
            }
        }

        impl ::tfplug::model::Model for #ident {
            fn attributes() -> ::std::vec::Vec<::tfplug::schema::Attribute> {
                ::std::vec![#(#attributes),*]
            }

            fn schema() -> ::tfplug::schema::Schema {
                ::tfplug::schema::Schema::new(<Self as ::tfplug::model::Model>::attributes())
                    .describe(#description)
                    #(.version(#version))*
                    #(.deprecated(#deprecated))*
            }
        }

        // What the rules forbid ends the compilation here.
        const _: ::tfplug::model::Traits = <#ident as ::tfplug::model::Typed>::TRAITS;
        #(#checks)*

        #[doc = #at_doc]
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(dead_code, reason = "not every path is named")]
        #vis struct #at(::tfplug::path::Path);

        impl ::core::convert::From<::tfplug::path::Path> for #at {
            fn from(path: ::tfplug::path::Path) -> Self {
                Self(path)
            }
        }

        impl ::core::convert::From<#at> for ::tfplug::path::Path {
            fn from(at: #at) -> Self {
                at.0
            }
        }

        impl ::core::fmt::Display for #at {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&self.0, f)
            }
        }

        #[allow(dead_code, reason = "not every path is named")]
        impl #at {
            #(#steps)*
        }

        #[allow(dead_code, reason = "not every path is named")]
        impl #ident {
            /// Returns the path of the whole, from which those of its attributes follow.
            #vis fn at() -> #at {
                #at(::tfplug::path::Path::root())
            }
        }
    })
}

/// One field.
struct Part<'a> {
    ident: &'a syn::Ident,
    ty: &'a Type,
    name: String,
    description: String,
    options: FieldOptions,
}

impl<'a> Part<'a> {
    fn new(field: &'a Field) -> syn::Result<Self> {
        let ident = field
            .ident
            .as_ref()
            .ok_or_else(|| Error::new_spanned(field, "a field needs a name"))?;
        let options = options::of_field(&field.attrs, &WORDS)?;
        if let Some(word) = &options.required
            && (options.optional || options.computed || options.default.is_some())
        {
            return Err(Error::new(
                word.span(),
                "what is required is neither optional nor computed, and has no default",
            ));
        }
        let computed = options.computed || options.default.is_some();
        for word in options
            .changes_on_update
            .iter()
            .chain(&options.keep_prior_non_null)
        {
            if !computed || options.default.is_some() {
                return Err(Error::new(
                    word.span(),
                    "only a computed attribute without a default can say so",
                ));
            }
        }
        let only_computed = options.computed && !options.optional && options.default.is_none();
        if let Some(rule) = options.validate.first().filter(|_| only_computed) {
            return Err(Error::new(
                rule.span(),
                "nobody configures a computed attribute, so nothing is there to check; if it is `optional`, too, say so",
            ));
        }
        Ok(Self {
            ident,
            ty: &field.ty,
            name: options::name(options.name.as_ref(), ident)?,
            description: options::description(&field.attrs),
            options,
        })
    }

    /// Returns the expression of the attribute.
    fn attribute(&self) -> TokenStream {
        let Self {
            ty,
            name,
            description,
            options,
            ..
        } = self;
        let mut calls = Vec::new();
        if options.required.is_some() {
            calls.push(quote!(.required()));
        }
        match (options.optional, options.computed) {
            (true, true) => calls.push(quote!(.optional_computed())),
            (false, true) => calls.push(quote!(.computed())),
            (_, false) => {}
        }
        if let Some(default) = &options.default {
            calls.push(quote_spanned! { default.span() =>
                .default(::tfplug::model::Field::write_field(
                    &<#ty as ::core::convert::From<_>>::from(#default)
                ))
            });
        }
        for rule in &options.validate {
            calls.push(quote!(.validate(#rule)));
        }
        if options.requires_replace {
            calls.push(quote!(.requires_replace()));
        }
        if let Some(rule) = &options.requires_replace_if {
            calls.push(quote!(.requires_replace_if(#rule)));
        }
        if options.changes_on_update.is_some() {
            calls.push(quote!(.changes_on_update()));
        }
        if options.keep_prior_non_null.is_some() {
            calls.push(quote!(.keep_prior_non_null()));
        }
        if let Some(same) = &options.same_if {
            calls.push(quote! {
                .same_if(::tfplug::model::same_of(::core::marker::PhantomData::<fn() -> #ty>, #same))
            });
        }
        for modifier in &options.modify {
            calls.push(quote!(.modify(#modifier)));
        }
        if options.sensitive {
            calls.push(quote!(.sensitive()));
        }
        if let Some(message) = &options.deprecated {
            calls.push(quote!(.deprecated(#message)));
        }
        quote! {
            <#ty as ::tfplug::model::Field>::attribute(#name).describe(#description) #(#calls)*
        }
    }

    /// Returns the checks that fail while compiling.
    fn checks(&self) -> TokenStream {
        let ty = self.ty;
        if self.options.computed || self.options.default.is_some() {
            quote_spanned! { ty.span() =>
                const _: () = ::core::assert!(
                    !<#ty as ::tfplug::model::Field>::TRAITS.write_only,
                    "a computed attribute is no secret and holds none"
                );
            }
        } else {
            TokenStream::new()
        }
    }

    /// Returns the method of the typed path.
    fn step(&self, vis: &syn::Visibility) -> TokenStream {
        let Self { ident, ty, name, .. } = self;
        let doc = format!("Returns the path of `{name}`.");
        quote! {
            #[doc = #doc]
            #vis fn #ident(&self) -> <#ty as ::tfplug::model::Field>::At {
                ::core::convert::From::from(self.0.clone().attribute(#name))
            }
        }
    }
}
