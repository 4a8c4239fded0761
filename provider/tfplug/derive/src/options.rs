//! What stands in `#[tf(…)]`, and the doc comments.

use syn::{Attribute, Error, Expr, Ident, Lit, LitInt, LitStr, Meta, ext::IdentExt, meta::ParseNestedMeta};

/// What can be said of a field.
#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) required: Option<Ident>,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) sensitive: bool,
    pub(crate) requires_replace: bool,
    pub(crate) changes_on_update: Option<Ident>,
    pub(crate) keep_prior_non_null: Option<Ident>,
    pub(crate) variadic: bool,
    pub(crate) default: Option<Expr>,
    pub(crate) requires_replace_if: Option<Expr>,
    pub(crate) same_if: Option<Expr>,
    pub(crate) validate: Vec<Expr>,
    pub(crate) modify: Vec<Expr>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
}

/// What can be said of a struct.
#[derive(Default)]
pub(crate) struct StructOptions {
    pub(crate) version: Option<LitInt>,
    pub(crate) deprecated: Option<LitStr>,
}

fn word(meta: &ParseNestedMeta<'_>) -> syn::Result<Ident> {
    meta.path
        .get_ident()
        .cloned()
        .ok_or_else(|| Error::new_spanned(&meta.path, "a single word was expected"))
}

fn unknown(word: &Ident, allowed: &[&str]) -> Error {
    Error::new(
        word.span(),
        format!(
            "`{word}` cannot be said here; what can is: {}",
            allowed.join(", ")
        ),
    )
}

/// Reads the options of a field, of which only `allowed` may stand there.
pub(crate) fn of_field(attributes: &[Attribute], allowed: &[&str]) -> syn::Result<FieldOptions> {
    let mut options = FieldOptions::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("tf"))
    {
        attribute.parse_nested_meta(|meta| {
            let word = word(&meta)?;
            let text = word.to_string();
            if !allowed.contains(&text.as_str()) {
                return Err(unknown(&word, allowed));
            }
            match text.as_str() {
                "required" => options.required = Some(word),
                "optional" => options.optional = true,
                "computed" => options.computed = true,
                "sensitive" => options.sensitive = true,
                "requires_replace" => options.requires_replace = true,
                "changes_on_update" => options.changes_on_update = Some(word),
                "keep_prior_non_null" => options.keep_prior_non_null = Some(word),
                "variadic" => options.variadic = true,
                "default" => options.default = Some(meta.value()?.parse()?),
                "requires_replace_if" => options.requires_replace_if = Some(meta.value()?.parse()?),
                "same_if" => options.same_if = Some(meta.value()?.parse()?),
                "validate" => options.validate.push(meta.value()?.parse()?),
                "modify" => options.modify.push(meta.value()?.parse()?),
                "deprecated" => options.deprecated = Some(meta.value()?.parse()?),
                "name" => options.name = Some(meta.value()?.parse()?),
                _ => return Err(unknown(&word, allowed)),
            }
            Ok(())
        })?;
    }
    Ok(options)
}

/// Reads the options of a struct, of which only `allowed` may stand there.
pub(crate) fn of_struct(attributes: &[Attribute], allowed: &[&str]) -> syn::Result<StructOptions> {
    let mut options = StructOptions::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("tf"))
    {
        attribute.parse_nested_meta(|meta| {
            let word = word(&meta)?;
            match word.to_string().as_str() {
                "version" if allowed.contains(&"version") => options.version = Some(meta.value()?.parse()?),
                "deprecated" if allowed.contains(&"deprecated") => {
                    options.deprecated = Some(meta.value()?.parse()?);
                }
                _ => return Err(unknown(&word, allowed)),
            }
            Ok(())
        })?;
    }
    Ok(options)
}

/// Returns the name in the language: the one given, or the field's.
pub(crate) fn name(given: Option<&LitStr>, field: &Ident) -> syn::Result<String> {
    let name = given.map_or_else(|| field.unraw().to_string(), LitStr::value);
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
    if begins && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Ok(name);
    }
    let sentence = "a name is made of `a` to `z`, digits and `_`, and begins with no digit";
    Err(given.map_or_else(
        || Error::new(field.span(), sentence),
        |given| Error::new(given.span(), sentence),
    ))
}

/// Returns the doc comment, without the space at the beginning of each line.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').map_or(line.clone(), str::to_owned))
        .collect();
    lines.join("\n").trim().to_owned()
}
