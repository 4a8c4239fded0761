//! The data sources `zoom_log_source` and `zoom_log_sources`: what exists, without having to own it.

use async_trait::async_trait;
use engine_api::{SourceSpec, View, client::Error};
use tfplug::{
    data_source::{DataSource, DataSourceWithValidate},
    diagnostics::Diagnostics,
    provider::Context,
    resource::StateResponse,
    schema::{Attribute, Kind, Nesting, Schema},
    value::Value,
};

use crate::{
    catalog::Catalog,
    connection::{self, Engine},
    filter, problem,
    schema::{self, ID},
};

const NAME: &str = "name";
const SOURCES: &str = "sources";

/// The longest page that the engine gives.
const PAGE: u32 = 500;

/// Returns the attributes of a resource as something to read: all computed, and no secrets.
fn readable(attributes: Vec<Attribute>) -> Vec<Attribute> {
    attributes
        .into_iter()
        .filter(|attribute| !attribute.write_only)
        .map(|attribute| {
            let kind = match attribute.kind {
                Kind::Nested(nesting, inner) => Kind::Nested(nesting, readable(inner)),
                plain @ Kind::Plain(_) => plain,
            };
            Attribute::of_kind(attribute.name, kind)
                .describe(attribute.description)
                .computed()
        })
        .collect()
}

/// Returns what of a state is readable.
fn read(state: &Value, attributes: &[Attribute]) -> Value {
    let Value::Object(_) = state else {
        return state.clone();
    };
    Value::object(attributes.iter().map(|attribute| {
        let value = state.get(&attribute.name);
        let value = match &attribute.kind {
            Kind::Nested(Nesting::Single, inner) => read(value, inner),
            _ => value.clone(),
        };
        (attribute.name.clone(), value)
    }))
}

fn source_attributes() -> Vec<Attribute> {
    readable(schema::resource::<SourceSpec>().attributes)
}

/// The data source with one source, by its id or its name.
#[derive(Debug, Clone, Copy)]
pub struct SourceSource;

#[async_trait]
impl DataSource<Engine> for SourceSource {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "zoom_log_source"
    }

    fn schema(&self) -> Schema {
        let attributes = source_attributes()
            .into_iter()
            .map(|attribute| match attribute.name.as_str() {
                ID => attribute
                    .optional_computed()
                    .describe("The source's id. Either it or `name` is set."),
                NAME => attribute
                    .optional_computed()
                    .describe("The source's name. Either it or `id` is set."),
                _ => attribute,
            });
        Schema::new(attributes).describe(
            "One source that the engine has, by its id or its name, whoever made it. Its secrets are not shown; \
             `credential_fingerprint` tells whether they changed. How it is doing is in `zoom_log_source_status`.",
        )
    }

    async fn read(&self, context: &Context<Engine>, config: &Value, response: &mut StateResponse) {
        let nothing = Value::Null;
        let here = connection::of::<SourceSpec>(context, &nothing, &mut response.diagnostics).await;
        let Some((connection, engine)) = here else {
            return;
        };
        let client = connection.client();
        let (argument, wanted) = match config.get(ID).as_str() {
            Some(id) => (ID, id),
            None => (NAME, config.get(NAME).as_str().unwrap_or_default()),
        };
        let found: Result<Option<View<SourceSpec>>, Error> = if argument == ID {
            client.get(wanted).await
        } else {
            client
                .list::<SourceSpec>(Some(wanted), None)
                .await
                .map(|page| page.items.into_iter().next())
        };
        match found {
            Ok(Some(view)) => {
                let state = Catalog::<SourceSpec>::new().state(&view, engine);
                response.state = Some(read(&state, &source_attributes()));
            }
            Ok(None) => response.diagnostics.attribute_error(
                argument,
                "No such source",
                format!("The engine has no source with the {argument} `{wanted}`."),
            ),
            Err(error) => {
                let attributes = source_attributes();
                problem::report(
                    &error,
                    "show the source",
                    &attributes,
                    config,
                    &mut response.diagnostics,
                );
            }
        }
    }
}

#[async_trait]
impl DataSourceWithValidate<Engine> for SourceSource {
    async fn validate(&self, _: &Context<Engine>, config: &Value, diagnostics: &mut Diagnostics) {
        let (id, name) = (config.get(ID), config.get(NAME));
        if id.is_null() && name.is_null() {
            diagnostics.error(
                "No source is named",
                "Set `id` or `name`. All sources are in `zoom_log_sources`.",
            );
        } else if id.is_known() && name.is_known() {
            diagnostics.attribute_error(
                NAME,
                "The source is named twice",
                "Set either `id` or `name`, not both.",
            );
        }
    }
}

/// The data source with all sources that pass its filters.
#[derive(Debug, Clone, Copy)]
pub struct SourcesSource;

#[async_trait]
impl DataSource<Engine> for SourcesSource {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "zoom_log_sources"
    }

    fn schema(&self) -> Schema {
        let all = schema::resource::<SourceSpec>().attributes;
        let filters = filter::attributes(&all, "sources");
        let found = Attribute::nested(SOURCES, Nesting::List, source_attributes())
            .computed()
            .describe("The sources that pass all filters, in the order of their ids.");
        Schema::new(filters.into_iter().chain([found])).describe(
            "The sources that the engine has, whoever made them: all of them, or those that pass every filter that is \
             set. Their secrets are not shown.",
        )
    }

    async fn read(&self, context: &Context<Engine>, config: &Value, response: &mut StateResponse) {
        let nothing = Value::Null;
        let here = connection::of::<SourceSpec>(context, &nothing, &mut response.diagnostics).await;
        let Some((connection, engine)) = here else {
            return;
        };
        let resource = Catalog::<SourceSpec>::new();
        let (all, shown) = (schema::resource::<SourceSpec>().attributes, source_attributes());
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = connection
                .client()
                .page::<SourceSpec>(after.as_deref(), PAGE)
                .await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    problem::report(&error, "list the sources", &[], config, &mut response.diagnostics);
                    return;
                }
            };
            let states = page.items.iter().map(|view| resource.state(view, engine));
            let passing = states.filter(|state| filter::passes(&all, config, state));
            found.extend(passing.map(|state| read(&state, &shown)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut state = config.clone();
        state.set_attribute(SOURCES, Value::List(found));
        response.state = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use tfplug::schema::Mode;

    use super::*;

    #[test]
    fn nothing_of_a_secret_can_be_read() {
        let names = |attributes: &[Attribute]| -> Vec<String> {
            attributes
                .iter()
                .map(|attribute| attribute.name.clone())
                .collect()
        };
        let attributes = source_attributes();
        let names = names(&attributes);
        assert!(!names.contains(&"client_secret".to_owned()), "{names:?}");
        for shown in [
            "client_secret_ref",
            "credential_fingerprint",
            "engine_id",
            "drop_off_alarm",
        ] {
            assert!(names.contains(&shown.to_owned()), "{shown}");
        }
        assert!(
            attributes
                .iter()
                .all(|attribute| attribute.mode == Mode::Computed)
        );
    }
}
