//! The things beside dogs: one of each other kind.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tfplug::{
    action::{Action, ActionWithPlan, ActionWithValidate, PlanActionResponse, Progress},
    data_source::DataSource,
    diagnostics::Diagnostics,
    ephemeral::{
        EphemeralResource, EphemeralResourceWithClose, EphemeralResourceWithRenew,
        EphemeralResourceWithValidate, OpenResponse, RenewResponse,
    },
    function::{Arguments, Function, FunctionError},
    list::{Found, ListResource, Results},
    model::{Model, Value},
    private::{Key, Private},
    provider::Context,
    resource::{CreateRequest, DeleteRequest, ReadRequest, Resource, StateResponse, UpdateRequest},
    schema::Schema,
    value::Number,
};

use crate::{
    dog::{Dog, DogIdentity, Dogs},
    yard::Yard,
};

/// A young dog, which can be moved to a dog.
#[derive(Model, Clone)]
pub(crate) struct Puppy {
    /// What it answers to.
    #[tf(required, requires_replace)]
    id: Value<String>,
}

pub(crate) struct Puppies;

#[async_trait]
impl Resource<Yard> for Puppies {
    type Model = Puppy;

    fn type_name(&self) -> &'static str {
        "kennel_puppy"
    }

    fn schema(&self) -> Schema {
        Puppy::schema()
    }

    async fn create(
        &self,
        context: &Context<Yard>,
        request: CreateRequest<'_, Puppy>,
        response: &mut StateResponse<Puppy>,
    ) {
        let id = request.plan.id.as_deref().unwrap_or_default();
        let dog = Dog::called(id);
        if context.data().and_then(|yard| yard.store(id, &dog)).is_some() {
            response.state = Some(request.plan.clone());
        }
    }

    async fn read(&self, _: &Context<Yard>, _: ReadRequest<'_, Puppy>, _: &mut StateResponse<Puppy>) {}

    async fn update(&self, _: &Context<Yard>, _: UpdateRequest<'_, Puppy>, _: &mut StateResponse<Puppy>) {}

    async fn delete(&self, context: &Context<Yard>, request: DeleteRequest<'_, Puppy>, _: &mut Diagnostics) {
        if let (Some(yard), Some(id)) = (context.data(), request.state.id.as_deref()) {
            yard.remove(id);
        }
    }
}

/// Counts the dogs.
#[derive(Model)]
pub(crate) struct Count {
    /// How many dogs there are.
    #[tf(computed)]
    dogs: Value<u64>,
}

pub(crate) struct Counter;

#[async_trait]
impl DataSource<Yard> for Counter {
    type Model = Count;

    fn type_name(&self) -> &'static str {
        "kennel_count"
    }

    fn schema(&self) -> Schema {
        Count::schema()
    }

    async fn read(&self, context: &Context<Yard>, _: &Count, response: &mut StateResponse<Count>) {
        response.state = Some(Count {
            dogs: context.data().map(|yard| yard.ids().len() as u64).into(),
        });
    }
}

/// A whistle that is heard as long as the run lasts.
#[derive(Model)]
pub(crate) struct Whistle {
    /// How high it is.
    #[tf(required)]
    pitch: Value<u32>,
    /// What to blow.
    #[tf(computed, sensitive)]
    tone: Value<String>,
}

/// The name of the file that exists while a whistle is open.
const OPEN: Key<String> = Key::new("open");

pub(crate) struct Whistles;

#[async_trait]
impl EphemeralResource<Yard> for Whistles {
    type Model = Whistle;

    fn type_name(&self) -> &'static str {
        "kennel_whistle"
    }

    fn schema(&self) -> Schema {
        Whistle::schema()
    }

    async fn open(&self, context: &Context<Yard>, config: &Whistle, response: &mut OpenResponse<Whistle>) {
        let Some(pitch) = config.pitch.known() else { return };
        let name = format!("whistle-{pitch}");
        if let Some(file) = context.data().and_then(|yard| yard.file(&name))
            && fs::write(file, b"open").is_ok()
        {
            response.private.set(&OPEN, &name);
        }
        response.renew_at = Some(SystemTime::now() + Duration::from_hours(1));
        response.result = Some(Whistle {
            pitch: config.pitch.clone(),
            tone: format!("fw{}p", "e".repeat(*pitch as usize)).into(),
        });
    }
}

#[async_trait]
impl EphemeralResourceWithValidate<Yard> for Whistles {
    async fn validate(&self, _: &Context<Yard>, config: &Whistle, diagnostics: &mut Diagnostics) {
        if config.pitch.known().is_some_and(|pitch| *pitch > 50) {
            diagnostics.attribute_error(Whistle::at().pitch(), "Too high", "No dog hears it.");
        }
    }
}

#[async_trait]
impl EphemeralResourceWithRenew<Yard> for Whistles {
    async fn renew(&self, _: &Context<Yard>, private: &Private, response: &mut RenewResponse) {
        if private.get(&OPEN).is_some() {
            response.renew_at = Some(SystemTime::now() + Duration::from_hours(2));
        } else {
            response
                .diagnostics
                .error("Not open", "This whistle was never opened.");
        }
    }
}

#[async_trait]
impl EphemeralResourceWithClose<Yard> for Whistles {
    async fn close(&self, context: &Context<Yard>, private: &Private, diagnostics: &mut Diagnostics) {
        let file = private
            .get(&OPEN)
            .and_then(|name| context.data().and_then(|yard| yard.file(&name)));
        if file.is_none_or(|file| fs::remove_file(file).is_err()) {
            diagnostics.error("Not open", "This whistle was never opened.");
        }
    }
}

/// Calls a dog.
#[derive(Model)]
pub(crate) struct Call {
    /// The dog's name.
    #[tf(required)]
    name: Value<String>,
    /// How often it is called.
    times: Value<u32>,
}

pub(crate) struct Caller;

#[async_trait]
impl Action<Yard> for Caller {
    type Model = Call;

    fn type_name(&self) -> &'static str {
        "kennel_call"
    }

    fn schema(&self) -> Schema {
        Call::schema()
    }

    async fn invoke(
        &self,
        context: &Context<Yard>,
        config: &Call,
        progress: &Progress,
        diagnostics: &mut Diagnostics,
    ) {
        let name = config.name.as_deref().unwrap_or_default();
        for _ in 0..config.times.known().copied().unwrap_or(1) {
            progress.report(format!("{name}!")).await;
        }
        match name {
            "Cerberus" => panic!("the dog has three heads"),
            "Godot" => context.cancelled().cancelled().await,
            _ => {}
        }
        let came = context.data().and_then(|yard| yard.load(&name.to_lowercase()));
        if came.is_none() {
            diagnostics.attribute_error(Call::at().name(), "No such dog", "Nobody came.");
        }
    }
}

#[async_trait]
impl ActionWithValidate<Yard> for Caller {
    async fn validate(&self, _: &Context<Yard>, config: &Call, diagnostics: &mut Diagnostics) {
        if config.times.known() == Some(&0) {
            diagnostics.attribute_error(Call::at().times(), "Never", "It has to be called.");
        }
    }
}

#[async_trait]
impl ActionWithPlan<Yard> for Caller {
    async fn plan(&self, _: &Context<Yard>, config: &Call, response: &mut PlanActionResponse) {
        if config.name.is_unknown() {
            response
                .diagnostics
                .warning("Somebody will be called", "Who it is is not known yet.");
        }
    }
}

/// Which dogs to list.
#[derive(Model)]
pub(crate) struct Filter {
    /// How their ids begin.
    prefix: Value<String>,
}

pub(crate) struct DogList;

#[async_trait]
impl ListResource<Yard, Dogs> for DogList {
    type Config = Filter;

    fn schema(&self) -> Schema {
        Filter::schema()
    }

    async fn list(&self, context: &Context<Yard>, config: &Filter, results: &mut Results<DogIdentity, Dog>) {
        let Some(yard) = context.data() else { return };
        let prefix = config.prefix.as_deref().unwrap_or_default();
        assert!(prefix != "panic", "the dogs ran away");
        for id in yard.ids().into_iter().filter(|id| id.starts_with(prefix)) {
            let mut found = Found::new(DogIdentity::of(id.as_str().into()), &id);
            if results.wants_resource()
                && let Some(dog) = yard.load(&id)
            {
                found = found.resource(dog);
            }
            if results.send(found).await.is_break() {
                return;
            }
        }
    }
}

#[derive(Arguments)]
pub(crate) struct Greeting {
    /// Who is greeted.
    name: String,
    /// How, which is friendly where it is null.
    how: Option<String>,
}

pub(crate) struct Greet;

impl Function for Greet {
    type Arguments = Greeting;
    type Output = String;

    fn name(&self) -> &'static str {
        "greet"
    }

    fn summary(&self) -> &'static str {
        "Greets a dog."
    }

    fn call(&self, arguments: Greeting) -> Result<String, FunctionError> {
        match arguments.name.as_str() {
            "" => Err(FunctionError::at(0, "Somebody has to be greeted.")),
            "Cerberus" => panic!("which head?"),
            name => Ok(format!(
                "{}, {name}!",
                arguments.how.unwrap_or("Hello".to_owned())
            )),
        }
    }
}

#[derive(Arguments)]
pub(crate) struct Weights {
    /// The weights.
    #[tf(variadic)]
    weights: Vec<Number>,
}

pub(crate) struct Heaviest;

impl Function for Heaviest {
    type Arguments = Weights;
    type Output = Option<Number>;

    fn name(&self) -> &'static str {
        "heaviest"
    }

    fn summary(&self) -> &'static str {
        "Returns the largest of numbers, or null where there is none."
    }

    fn call(&self, arguments: Weights) -> Result<Option<Number>, FunctionError> {
        Ok(arguments.weights.into_iter().max())
    }
}
