//! What every operation begins with, whatever it is on: find the thing, read the request, know the host.

use crate::{
    diagnostics::Diagnostics,
    log,
    offers::{ActionParts, DataSourceParts, EphemeralParts, Managed, Named, Validates},
    path::{Path, Step},
    provider::{Context, Provider},
    schema::{self, Attribute, Compiled, Kind, Schema},
    value::Value,
    wire::tfplugin6 as wire,
};

use super::{Inner, convert};

/// What the kinds of things have in common.
pub(super) trait Parts<D> {
    /// What practitioners call the kind.
    const NOUN: &'static str;

    /// Returns the schema, which is made at the first call.
    fn compiled(&self) -> &Compiled;

    /// Returns what checks configurations.
    fn validates(&self) -> Option<&dyn Validates<D>>;
}

macro_rules! parts {
    ($($parts:ident, $noun:literal;)*) => {$(
        impl<D> Parts<D> for $parts<D> {
            const NOUN: &'static str = $noun;

            fn compiled(&self) -> &Compiled {
                self.compiled.get_or_init(|| Compiled::new(self.core.schema()))
            }

            fn validates(&self) -> Option<&dyn Validates<D>> {
                self.validate.as_deref()
            }
        }
    )*};
}

parts! {
    Managed, "resource type";
    DataSourceParts, "data source";
    EphemeralParts, "ephemeral resource type";
    ActionParts, "action type";
}

/// Returns the thing of that name, or says that there is none.
pub(super) fn find<'a, T>(
    things: &'a Named<T>,
    noun: &str,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<&'a T> {
    let found = things.get(name);
    if found.is_none() {
        diagnostics.error(
            format!("Unknown {noun}"),
            format!("This provider has no {noun} `{name}`."),
        );
    }
    found
}

/// A configuration, which is overwritten when it is done with: it may hold secrets.
pub(super) struct Config(Value);

impl std::ops::Deref for Config {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

/// An operation that has begun.
pub(super) struct Begun<'a, D, T> {
    pub(super) parts: &'a T,
    pub(super) compiled: &'a Compiled,
    pub(super) context: Context<D>,
}

impl<D, T> Begun<'_, D, T> {
    /// Reads a value of the schema, or says why it cannot be read.
    pub(super) fn decode(
        &self,
        value: Option<&wire::DynamicValue>,
        what: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Value> {
        convert::decode(value, &self.compiled.ty, what, diagnostics)
    }

    /// Reads a configuration, or says why it cannot be read.
    pub(super) fn config(
        &self,
        value: Option<&wire::DynamicValue>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Config> {
        self.decode(value, "configuration", diagnostics).map(Config)
    }
}

impl<P: Provider> Inner<P> {
    /// Begins an operation on one of these things.
    pub(super) fn begin<'a, T: Parts<P::Data>>(
        &self,
        things: &'a Named<T>,
        type_name: &str,
        client: Option<wire::ClientCapabilities>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Begun<'a, P::Data, T>> {
        log::trace("begins", &[("type", type_name)]);
        let parts = find(things, T::NOUN, type_name, diagnostics)?;
        Some(Begun {
            parts,
            compiled: parts.compiled(),
            context: self.context(client),
        })
    }

    /// Checks a configuration of one of these things. `host_knows_write_only` is what a host says that is asked.
    pub(super) async fn validate<T: Parts<P::Data>>(
        &self,
        things: &Named<T>,
        type_name: &str,
        config: Option<&wire::DynamicValue>,
        client: Option<wire::ClientCapabilities>,
    ) -> Vec<wire::Diagnostic> {
        let mut diagnostics = Diagnostics::new();
        if let Some(begun) = self.begin(things, type_name, client, &mut diagnostics)
            && let Some(config) = begun.config(config, &mut diagnostics)
        {
            let schema = &begun.compiled.schema;
            if client.is_some_and(|client| !client.write_only_attributes_allowed) {
                refuse_write_only(schema, &config, &mut diagnostics);
            }
            run_validators(&schema.attributes, &config, &mut diagnostics);
            if let Some(validates) = begun.parts.validates() {
                validates
                    .validate(&begun.context, &config, &mut diagnostics)
                    .await;
            }
        }
        convert::diagnostics(diagnostics)
    }
}

/// Runs the validators of every attribute that is configured and known.
pub(super) fn run_validators(attributes: &[Attribute], config: &Value, diagnostics: &mut Diagnostics) {
    schema::visit(
        attributes,
        config,
        &mut Path::root(),
        &mut |path, attribute, value| {
            if value.is_known() {
                for validator in &attribute.validators {
                    validator.validate(path, value, diagnostics);
                }
            }
        },
    );
}

/// Says that a write-only attribute needs a newer Terraform, and which attribute works without.
fn refuse_write_only(schema: &Schema, config: &Value, diagnostics: &mut Diagnostics) {
    for path in schema.write_only_set(config) {
        let instead = sibling_reference(schema, &path)
            .map(|name| format!(" With this version, set `{name}` instead."))
            .unwrap_or_default();
        diagnostics.attribute_error(
            path.clone(),
            "Write-only attributes need Terraform 1.11",
            format!(
                "`{path}` is a write-only attribute, so that it never stands in plan or state. Terraform and OpenTofu \
                 support this from version 1.11.{instead}"
            ),
        );
    }
}

/// Returns the name of the attribute beside the one at `path` that refers to the same secret: its name and `_ref`.
fn sibling_reference(schema: &Schema, path: &Path) -> Option<String> {
    let (last, parents) = path.steps().split_last()?;
    let Step::Attribute(name) = last else { return None };
    let wanted = format!("{name}_ref");
    let parent: Path = parents.iter().cloned().collect();
    let siblings = if parents.is_empty() {
        &schema.attributes
    } else {
        match &schema.at(&parent)?.kind {
            Kind::Nested(_, inner) => inner,
            Kind::Plain(_) => return None,
        }
    };
    siblings
        .iter()
        .any(|sibling| sibling.name == wanted)
        .then_some(wanted)
}
