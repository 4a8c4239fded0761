//! The resource with everything.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use tfplug::{
    diagnostics::Diagnostics,
    identity::Identity,
    model::{Model, Secret, Set, Value},
    private::Key,
    provider::Context,
    resource::{
        CreateRequest, DeleteRequest, MoveRequest, PlanRequest, PlanResponse, ReadRequest, Resource,
        ResourceWithGenerateConfig, ResourceWithIdentity, ResourceWithImport, ResourceWithImportByIdentity,
        ResourceWithModifyPlan, ResourceWithMove, ResourceWithUpgrade, ResourceWithUpgradeIdentity,
        ResourceWithValidate, StateResponse, StoredState, UpdateRequest, UpgradeRequest,
    },
    schema::{Schema, between, one_of},
    timeouts::Timeouts,
    value::{Dynamic, Number, Type},
};

use crate::yard::Yard;

/// A dog.
///
/// It barks.
#[derive(Model, Default)]
#[tf(version = 2)]
pub(crate) struct Dog {
    /// The dog's id.
    #[tf(computed)]
    pub(crate) id: Value<String>,
    /// What it answers to.
    #[tf(required, requires_replace)]
    pub(crate) name: Value<String>,
    /// In kilograms, exactly.
    #[tf(validate = between(0, 200))]
    weight: Value<Number>,
    /// What it can do.
    tricks: Value<Set<String>>,
    /// How it usually is.
    #[tf(default = "calm", validate = one_of(["calm", "wild"]))]
    mood: Value<String>,
    /// How long it sleeps, such as `60m`.
    #[tf(same_if = same_time)]
    nap: Value<String>,
    /// What it wears.
    collar: Value<Collar>,
    /// What it plays with.
    toys: Value<BTreeMap<String, Value<Toy>>>,
    /// Whatever else there is to say.
    anything: Value<Dynamic>,
    /// The secret on its chip.
    chip: Secret,
    /// Where to read the secret instead.
    chip_ref: Value<String>,
    /// How long the secret is.
    #[tf(computed)]
    chip_length: Value<u64>,
    /// Makes the provider misbehave.
    trick: Value<String>,
    /// What it was called before.
    #[tf(deprecated = "Use `name`.")]
    alias: Value<String>,
    /// How long operations may take.
    timeouts: Value<Timeouts>,
}

/// What a dog wears.
#[derive(Model, Clone)]
struct Collar {
    /// Its color.
    #[tf(required)]
    color: Value<String>,
    /// How many holes it has.
    #[tf(default = 5)]
    holes: Value<u32>,
    /// Its serial number.
    #[tf(computed)]
    serial: Value<String>,
}

/// What a dog plays with.
#[derive(Model, Clone)]
struct Toy {
    /// Whether it squeaks.
    #[tf(default = false)]
    squeaks: Value<bool>,
}

/// Whether two times in minutes or hours are the same.
fn same_time(a: &String, b: &String) -> bool {
    let minutes = |text: &String| {
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

/// How often a dog was read.
const READS: Key<u64> = Key::new("reads");

#[derive(Identity)]
#[tf(version = 1)]
pub(crate) struct DogIdentity {
    /// The dog's id.
    pub(crate) id: Value<String>,
    /// The kennel, of which there is one.
    #[tf(optional)]
    pub(crate) kennel: Value<String>,
}

impl DogIdentity {
    pub(crate) fn of(id: Value<String>) -> Self {
        Self {
            id,
            kennel: "main".into(),
        }
    }
}

pub(crate) struct Dogs;

impl Dogs {
    /// Makes what is planned, with what only the provider knows.
    fn make(config: &Dog, plan: &Dog, id: &str) -> Dog {
        let mut collar = plan.collar.clone();
        if let Some(collar) = collar.known_mut()
            && collar.serial.is_unknown()
        {
            collar.serial = Value::Known(format!("serial of {id}"));
        }
        let chip_length = if plan.chip_length.is_unknown() {
            config.chip.expose().map(|chip| chip.len() as u64).into()
        } else {
            plan.chip_length.clone()
        };
        Dog {
            id: id.into(),
            collar,
            chip_length,
            ..plan.copy()
        }
    }

    async fn misbehave(trick: Option<&str>, context: &Context<Yard>, response: &mut StateResponse<Dog>) {
        match trick {
            Some("panic") => panic!("the dog bit the provider"),
            Some("fail") => {
                let at = Dog::at().name();
                response
                    .diagnostics
                    .attribute_error(at, "Bad dog", "It failed after it was made.");
            }
            Some("lie") => {
                if let Some(dog) = &mut response.state {
                    dog.mood = "wild".into();
                }
            }
            Some("unknown") => {
                if let Some(dog) = &mut response.state {
                    dog.nap = Value::Unknown;
                }
            }
            Some("rename") => {
                if let Some(dog) = &mut response.state {
                    dog.id = "another".into();
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

    fn exists(context: &Context<Yard>, id: &str) -> Option<Dog> {
        let found = context.data()?.load(id)?;
        Some(Dog {
            id: found.id,
            ..Dog::default()
        })
    }
}

impl Dog {
    /// Returns a dog of which only the name is known, which is its id, too.
    pub(crate) fn called(name: &str) -> Self {
        Self {
            id: name.to_lowercase().into(),
            name: name.into(),
            mood: "calm".into(),
            ..Self::default()
        }
    }

    /// Returns a copy, without the secret, which has none.
    pub(crate) fn copy(&self) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            weight: self.weight.clone(),
            tricks: self.tricks.clone(),
            mood: self.mood.clone(),
            nap: self.nap.clone(),
            collar: self.collar.clone(),
            toys: self.toys.clone(),
            anything: self.anything.clone(),
            chip: Secret::default(),
            chip_ref: self.chip_ref.clone(),
            chip_length: self.chip_length.clone(),
            trick: self.trick.clone(),
            alias: self.alias.clone(),
            timeouts: self.timeouts.clone(),
        }
    }
}

#[async_trait]
impl Resource<Yard> for Dogs {
    type Model = Dog;

    fn type_name(&self) -> &'static str {
        "kennel_dog"
    }

    fn schema(&self) -> Schema {
        Dog::schema()
    }

    async fn create(
        &self,
        context: &Context<Yard>,
        request: CreateRequest<'_, Dog>,
        response: &mut StateResponse<Dog>,
    ) {
        let Some(yard) = context.data() else { return };
        let id = request.plan.name.as_deref().unwrap_or_default().to_lowercase();
        let dog = Self::make(request.config, request.plan, &id);
        if yard.store(&id, &dog).is_none() {
            response
                .diagnostics
                .error("No yard", "The directory cannot be written.");
            return;
        }
        response.state = Some(dog);
        Self::misbehave(request.plan.trick.as_deref(), context, response).await;
    }

    async fn read(
        &self,
        context: &Context<Yard>,
        request: ReadRequest<'_, Dog>,
        response: &mut StateResponse<Dog>,
    ) {
        let id = request.state.id.as_deref().unwrap_or_default();
        response.state = context.data().and_then(|yard| yard.load(id));
        if let Some(reads) = request.private.get(&READS) {
            response.private.set(&READS, &(reads + 1));
        }
    }

    async fn update(
        &self,
        context: &Context<Yard>,
        request: UpdateRequest<'_, Dog>,
        response: &mut StateResponse<Dog>,
    ) {
        let Some(yard) = context.data() else { return };
        let id = request.prior.id.as_deref().unwrap_or_default();
        let dog = Self::make(request.config, request.plan, id);
        yard.store(id, &dog);
        response.state = Some(dog);
        Self::misbehave(request.plan.trick.as_deref(), context, response).await;
    }

    async fn delete(&self, context: &Context<Yard>, request: DeleteRequest<'_, Dog>, _: &mut Diagnostics) {
        if let (Some(yard), Some(id)) = (context.data(), request.state.id.as_deref()) {
            yard.remove(id);
        }
    }
}

#[async_trait]
impl ResourceWithValidate<Yard> for Dogs {
    async fn validate(&self, _: &Context<Yard>, config: &Dog, diagnostics: &mut Diagnostics) {
        let trick = config.trick.as_deref();
        assert!(trick != Some("panic early"), "the dog bit while it was looked at");
        let toys = config.toys.known().into_iter().flatten();
        for (name, _) in toys.filter(|(name, _)| name.as_str() == "cat") {
            let at = Dog::at().toys().key(name).squeaks();
            diagnostics.attribute_error(at, "No toy", "A cat is no toy.");
        }
    }
}

#[async_trait]
impl ResourceWithModifyPlan<Yard> for Dogs {
    async fn modify_plan(
        &self,
        context: &Context<Yard>,
        request: PlanRequest<'_, Dog>,
        response: &mut PlanResponse<Dog>,
    ) {
        use tfplug::provider::Reason;
        let length = request.config.chip.expose().map(|chip| chip.len() as u64);
        let before = request.prior.and_then(|prior| prior.chip_length.known().copied());
        if length.is_some() && length != before {
            response.plan.chip_length = Value::Unknown;
        }
        if request.config.trick.as_deref() == Some("wait")
            && let Some(leave) = context.may_defer()
        {
            response.deferred = Some(leave.because(Reason::AbsentPrerequisite));
        }
    }

    async fn plan_delete(&self, _: &Context<Yard>, state: &Dog, diagnostics: &mut Diagnostics) {
        if state.trick.as_deref() == Some("stay") {
            diagnostics.error("It stays", "This dog does not go.");
        }
    }
}

#[async_trait]
impl ResourceWithImport<Yard> for Dogs {
    async fn import(&self, context: &Context<Yard>, id: &str, response: &mut StateResponse<Dog>) {
        response.state = Self::exists(context, id);
    }
}

impl ResourceWithIdentity<Yard> for Dogs {
    type Identity = DogIdentity;

    fn identity(&self, _: &Context<Yard>, state: &Dog) -> DogIdentity {
        DogIdentity::of(state.id.clone())
    }
}

#[async_trait]
impl ResourceWithImportByIdentity<Yard> for Dogs {
    async fn import_by_identity(
        &self,
        context: &Context<Yard>,
        identity: &DogIdentity,
        response: &mut StateResponse<Dog>,
    ) {
        response.state = Self::exists(context, identity.id.as_deref().unwrap_or_default());
    }
}

#[async_trait]
impl ResourceWithUpgradeIdentity<Yard> for Dogs {
    async fn upgrade_identity(
        &self,
        _: i64,
        stored: StoredState<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<DogIdentity> {
        // Before version 1, it was called by its name.
        match stored.decode(&Type::object([("name", Type::String)])) {
            Ok(old) => {
                let id = old.get("name").as_str().map(str::to_lowercase);
                Some(DogIdentity::of(id.into()))
            }
            Err(error) => {
                diagnostics.error("Identity cannot be read", error.to_string());
                None
            }
        }
    }
}

#[async_trait]
impl ResourceWithUpgrade<Yard> for Dogs {
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse<Dog>) {
        // Up to version 1, a dog was its name.
        if request.version > 1 {
            return;
        }
        match request.stored.decode(&Type::object([("name", Type::String)])) {
            Ok(old) => {
                response.state = old.get("name").as_str().map(Dog::called);
            }
            Err(error) => response
                .diagnostics
                .error("State cannot be read", error.to_string()),
        }
    }
}

#[async_trait]
impl ResourceWithMove<Yard> for Dogs {
    async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse<Dog>) {
        if request.type_name != "kennel_puppy" || !request.provider_address.ends_with("/example/kennel") {
            return;
        }
        match request.stored.decode(&Type::object([("id", Type::String)])) {
            Ok(puppy) => {
                response.state = puppy.get("id").as_str().map(Dog::called);
                response.private.set(&READS, &0);
            }
            Err(error) => response
                .diagnostics
                .error("State cannot be read", error.to_string()),
        }
    }
}

#[async_trait]
impl ResourceWithGenerateConfig<Yard> for Dogs {
    async fn generate_config(&self, _: &Dog, config: &mut Dog, _: &mut Diagnostics) {
        // Of the two, one is enough.
        if !config.nap.is_null() {
            config.weight = Value::Null;
        }
    }
}
