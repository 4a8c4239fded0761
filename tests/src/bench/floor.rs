//! A provider that does nothing: what any provider costs Terraform, ours included.
//!
//! It answers everything at once with what it was told, asks nobody, and has two types: one with the very attributes of a
//! `zoom_log_source`, one with those of Terraform's own `terraform_data`.

use async_trait::async_trait;
use engine_api::SourceSpec;
use terraform_provider_zoom::schema;
use tfplug::{
    diagnostics::Diagnostics,
    offers::Offers,
    provider::{ConfigureRequest, Context, Provider},
    resource::{CreateRequest, DeleteRequest, ReadRequest, Resource, StateResponse, UpdateRequest},
    schema::{Attribute, Kind, Schema},
    value::{Type, Value},
};

/// Its address in a registry, which no registry has.
pub const ADDRESS: &str = "registry.terraform.io/zoom-log/floor";

/// The type with the attributes of a source.
pub const SOURCE: &str = "floor_source";

/// The type with the attributes of `terraform_data`.
pub const DATA: &str = "floor_data";

const INPUT: &str = "input";

/// The provider.
#[derive(Debug, Clone, Copy)]
pub struct Floor;

#[async_trait]
impl Provider for Floor {
    type Data = ();
    type Model = Value;

    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Option<()> {
        Some(())
    }

    fn offer(&self, offers: &mut Offers<()>) {
        offers.resource(Nothing {
            name: SOURCE,
            schema: source,
        });
        offers.resource(Nothing {
            name: DATA,
            schema: data,
        });
    }
}

/// Returns the attributes of a source, and nothing of what they do.
fn source() -> Schema {
    Schema::new(bare(schema::resource::<SourceSpec>().attributes))
}

fn bare(attributes: Vec<Attribute>) -> Vec<Attribute> {
    let bare = |attribute: Attribute| {
        let kind = match attribute.kind {
            Kind::Nested(nesting, inner) => Kind::Nested(nesting, bare(inner)),
            plain @ Kind::Plain(_) => plain,
        };
        Attribute {
            mode: attribute.mode,
            sensitive: attribute.sensitive,
            write_only: attribute.write_only,
            default: attribute.default,
            ..Attribute::of_kind(attribute.name, kind)
        }
    };
    attributes.into_iter().map(bare).collect()
}

fn data() -> Schema {
    Schema::new([
        Attribute::string("id").computed(),
        Attribute::plain(INPUT, Type::Dynamic),
        Attribute::plain("output", Type::Dynamic).computed(),
        Attribute::plain("triggers_replace", Type::Dynamic),
    ])
}

/// A resource that exists in Terraform's state alone.
struct Nothing {
    name: &'static str,
    schema: fn() -> Schema,
}

impl Nothing {
    /// Makes up what is planned and not known.
    fn made(&self, plan: &Value) -> Value {
        let mut state = plan.clone();
        for attribute in (self.schema)().attributes {
            if state.get(&attribute.name).is_unknown() {
                let made = match attribute.kind {
                    Kind::Plain(Type::String) => Value::from("made"),
                    Kind::Plain(Type::Dynamic) => plan.get(INPUT).clone(),
                    _ => Value::Null,
                };
                state.set_attribute(&attribute.name, made);
            }
        }
        state
    }
}

#[async_trait]
impl Resource<()> for Nothing {
    type Model = Value;

    fn type_name(&self) -> &str {
        self.name
    }

    fn schema(&self) -> Schema {
        (self.schema)()
    }

    async fn create(&self, _: &Context<()>, request: CreateRequest<'_>, response: &mut StateResponse) {
        response.state = Some(self.made(request.plan));
    }

    /// Leaves the state that is known so far.
    async fn read(&self, _: &Context<()>, _: ReadRequest<'_>, _: &mut StateResponse) {}

    async fn update(&self, _: &Context<()>, request: UpdateRequest<'_>, response: &mut StateResponse) {
        response.state = Some(self.made(request.plan));
    }

    async fn delete(&self, _: &Context<()>, _: DeleteRequest<'_>, _: &mut Diagnostics) {}
}
