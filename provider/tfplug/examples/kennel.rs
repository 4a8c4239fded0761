//! A small provider whose remote API is a directory of files, for the process tests of this crate.
//!
//! It has an attribute of every interesting sort, and `trick` makes it misbehave in ways that the server must survive.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tfplug::{
    About,
    data_source::DataSource,
    diagnostics::Diagnostics,
    provider::{ConfigureRequest, Context, Provider},
    resource::{
        CreateRequest, DeleteRequest, PlanRequest, PlanResponse, ReadRequest, Resource, StateResponse,
        UpdateRequest,
    },
    schema::{Attribute, Nesting, Schema, between, one_of},
    value::{Type, Value},
};

struct Kennel;

/// The directory in which dogs are files.
struct Yard(Option<PathBuf>);

impl Yard {
    fn file(&self, id: &str) -> Option<PathBuf> {
        self.0
            .as_ref()
            .map(|directory| directory.join(format!("{id}.json")))
    }

    fn load(&self, id: &str) -> Option<Value> {
        let text = fs::read(self.file(id)?).ok()?;
        Value::from_stored_json(&text, &dog().ty()).ok()
    }

    fn store(&self, id: &str, dog_value: &Value) -> Option<()> {
        let text = dog_value.to_json(&dog().ty()).ok()?;
        fs::write(self.file(id)?, text).ok()
    }
}

#[async_trait]
impl Provider for Kennel {
    type Data = Yard;

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string("directory").describe("Where the dogs live. May be unknown at plan time.")
        ])
        .describe("Keeps dogs.")
    }

    async fn configure(&self, request: ConfigureRequest<'_>, _: &mut Diagnostics) -> Option<Yard> {
        Some(Yard(request.config.get("directory").as_str().map(PathBuf::from)))
    }

    fn resources(&self) -> Vec<Box<dyn Resource<Yard>>> {
        vec![Box::new(Dog)]
    }

    fn data_sources(&self) -> Vec<Box<dyn DataSource<Yard>>> {
        vec![Box::new(Count)]
    }
}

fn dog() -> Schema {
    Schema::new([
        Attribute::string("id").computed().describe("The dog's id."),
        Attribute::string("name")
            .required()
            .requires_replace()
            .describe("What it answers to."),
        Attribute::number("weight")
            .validate(between(0, 200))
            .describe("In kilograms, exactly."),
        Attribute::plain("tricks", Type::set(Type::String)).describe("What it can do."),
        Attribute::string("mood")
            .default("calm")
            .validate(one_of(["calm", "wild"]))
            .describe("How it usually is."),
        Attribute::string("nap")
            .same_if(same_time)
            .describe("How long it sleeps, such as `60m`."),
        Attribute::single(
            "collar",
            [
                Attribute::string("color").required().describe("Its color."),
                Attribute::number("holes")
                    .default(5_i64)
                    .describe("How many holes it has."),
                Attribute::string("serial")
                    .computed()
                    .describe("Its serial number."),
            ],
        )
        .describe("What it wears."),
        Attribute::nested(
            "toys",
            Nesting::Map,
            [Attribute::bool("squeaks")
                .default(false)
                .describe("Whether it squeaks.")],
        )
        .describe("What it plays with."),
        Attribute::plain("anything", Type::Dynamic).describe("Whatever else there is to say."),
        Attribute::string("chip")
            .write_only()
            .describe("The secret on its chip."),
        Attribute::string("chip_ref").describe("Where to read the secret instead."),
        Attribute::number("chip_length")
            .computed()
            .describe("How long the secret is."),
        Attribute::string("trick").describe("Makes the provider misbehave."),
    ])
    .describe("A dog.\n\nIt barks.")
}

/// Whether two times in minutes or hours are the same.
fn same_time(a: &Value, b: &Value) -> bool {
    let minutes = |value: &Value| {
        let text = value.as_str()?;
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = number.parse().ok()?;
        match unit {
            "m" => Some(number),
            "h" => Some(number * 60),
            _ => None,
        }
    };
    minutes(a).is_some() && minutes(a) == minutes(b)
}

struct Dog;

impl Dog {
    fn fill(config: &Value, plan: &Value, id: &str) -> Value {
        let mut state = plan.clone();
        state.set_attribute("id", id);
        if state.get("chip_length").is_unknown() {
            let length = config.get("chip").as_str().map(|chip| chip.len() as u64);
            state.set_attribute("chip_length", length);
        }
        let mut collar = plan.get("collar").clone();
        if collar.get("serial").is_unknown() {
            collar.set_attribute("serial", format!("serial of {id}"));
        }
        state.set_attribute("collar", collar);
        state
    }

    async fn misbehave(trick: Option<&str>, context: &Context<Yard>, response: &mut StateResponse) {
        match trick {
            Some("panic") => panic!("the dog bit the provider"),
            Some("fail") => {
                response
                    .diagnostics
                    .attribute_error("name", "Bad dog", "It failed after it was made.");
            }
            Some("lie") => {
                if let Some(state) = &mut response.state {
                    state.set_attribute("mood", "wild");
                }
            }
            Some("unknown") => {
                if let Some(state) = &mut response.state {
                    state.set_attribute("nap", Value::Unknown);
                }
            }
            Some("forget") => response.state = None,
            Some("dawdle") => {
                tokio::select! {
                    () = context.cancelled().cancelled() => {
                        response.diagnostics.error("Interrupted", "The dog was called back.");
                    }
                    () = tokio::time::sleep(Duration::from_mins(1)) => {}
                }
            }
            _ => {}
        }
    }
}

#[async_trait]
impl Resource<Yard> for Dog {
    fn type_name(&self) -> &'static str {
        "kennel_dog"
    }

    fn schema(&self) -> Schema {
        dog()
    }

    async fn modify_plan(&self, _: &Context<Yard>, request: PlanRequest<'_>, response: &mut PlanResponse) {
        let chip = request.config.get("chip");
        let length = chip.as_str().map(|chip| Value::from(chip.len() as u64));
        if length.is_some_and(|length| length != *request.prior.get("chip_length")) {
            response.plan.set_attribute("chip_length", Value::Unknown);
        }
    }

    async fn create(
        &self,
        context: &Context<Yard>,
        request: CreateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(yard) = context.data() else { return };
        let id = request
            .plan
            .get("name")
            .as_str()
            .unwrap_or_default()
            .to_lowercase();
        let state = Self::fill(request.config, request.plan, &id);
        if yard.store(&id, &state).is_none() {
            response
                .diagnostics
                .error("No yard", "The directory cannot be written.");
            return;
        }
        response.state = Some(state);
        Self::misbehave(request.plan.get("trick").as_str(), context, response).await;
    }

    async fn read(&self, context: &Context<Yard>, request: ReadRequest<'_>, response: &mut StateResponse) {
        let id = request.state.get("id").as_str().unwrap_or_default();
        response.state = context.data().and_then(|yard| yard.load(id));
    }

    async fn update(
        &self,
        context: &Context<Yard>,
        request: UpdateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(yard) = context.data() else { return };
        let id = request.prior.get("id").as_str().unwrap_or_default();
        let state = Self::fill(request.config, request.plan, id);
        yard.store(id, &state);
        response.state = Some(state);
        Self::misbehave(request.plan.get("trick").as_str(), context, response).await;
    }

    async fn delete(&self, context: &Context<Yard>, request: DeleteRequest<'_>, _: &mut Diagnostics) {
        let id = request.state.get("id").as_str().unwrap_or_default();
        if let Some(file) = context.data().and_then(|yard| yard.file(id)) {
            // One that is gone already is deleted.
            let _ = fs::remove_file(file);
        }
    }

    async fn import(&self, context: &Context<Yard>, id: &str, response: &mut StateResponse) {
        let exists = context
            .data()
            .and_then(|yard| yard.file(id))
            .is_some_and(|file| Path::exists(&file));
        response.state = exists.then(|| Value::object([("id", id.into())]));
    }
}

struct Count;

#[async_trait]
impl DataSource<Yard> for Count {
    fn type_name(&self) -> &'static str {
        "kennel_count"
    }

    fn schema(&self) -> Schema {
        Schema::new([Attribute::number("dogs")
            .computed()
            .describe("How many dogs there are.")])
        .describe("Counts the dogs.")
    }

    async fn read(&self, context: &Context<Yard>, _: &Value, response: &mut StateResponse) {
        let yard: Option<&Arc<Yard>> = context.data();
        let entries = yard
            .and_then(|yard| yard.0.as_ref())
            .and_then(|directory| fs::read_dir(directory).ok());
        let dogs = entries.map(|entries| entries.count() as u64);
        response.state = Some(Value::object([("dogs", Value::from(dogs))]));
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
