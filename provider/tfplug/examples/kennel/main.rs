//! A small provider whose remote API is a directory of files, for the process tests of this crate.
//!
//! It has a thing of every kind and an attribute of every interesting sort, and `trick` makes it misbehave in ways that
//! the server must survive.

mod dog;
mod others;
mod yard;

use std::process::ExitCode;

use async_trait::async_trait;
use tfplug::{
    About,
    diagnostics::Diagnostics,
    model::{Model, Value},
    offers::Offers,
    provider::{ConfigureRequest, Provider},
    schema::Schema,
};

use yard::Yard;

/// Keeps dogs.
#[derive(Model)]
struct Settings {
    /// Where the dogs live. May be unknown at plan time.
    directory: Value<String>,
}

struct Kennel;

#[async_trait]
impl Provider for Kennel {
    type Data = Yard;
    type Model = Settings;

    fn schema(&self) -> Schema {
        Settings::schema()
    }

    async fn configure(&self, request: ConfigureRequest<'_, Settings>, _: &mut Diagnostics) -> Option<Yard> {
        Some(Yard::new(request.config.directory.as_deref()))
    }

    fn offer(&self, offers: &mut Offers<Yard>) {
        offers
            .resource(dog::Dogs)
            .with_validate()
            .with_modify_plan()
            .with_import()
            .with_import_by_identity()
            .with_upgrade_identity()
            .with_upgrade()
            .with_move()
            .with_generate_config()
            .with_list(others::DogList);
        offers.resource(others::Puppies);
        offers.data_source(others::Counter);
        offers
            .ephemeral(others::Whistles)
            .with_validate()
            .with_renew()
            .with_close();
        offers.action(others::Caller).with_validate().with_plan();
        offers.function(others::Greet);
        offers.function(others::Heaviest);
    }
}

fn main() -> ExitCode {
    tfplug::run(
        Kennel,
        About {
            address: "registry.terraform.io/example/kennel",
            version: "0.0.0",
        },
    )
}
