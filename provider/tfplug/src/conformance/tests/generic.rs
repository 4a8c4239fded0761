//! A provider with one resource of any schema, whose remote API is a map; and the lies that it can tell.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics,
    function::{Arguments, Function, FunctionError},
    identity::Identity,
    model,
    offers::Offers,
    private::Key,
    provider::{ConfigureRequest, Context, Provider},
    resource::{
        CreateRequest, DeleteRequest, MoveRequest, PlanRequest, PlanResponse, ReadRequest, Resource,
        ResourceWithIdentity, ResourceWithImportByIdentity, ResourceWithModifyPlan, ResourceWithMove,
        ResourceWithUpgrade, StateResponse, UpdateRequest, UpgradeRequest,
    },
    schema::{Attribute, Kind, Nesting, Schema},
    value::{Dynamic, Number, Type, Value},
};

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    AnotherResult,
    StillUnknown,
    AnotherRead,
    Forgets,
    Tells,
    Renames,
    PlansAtRandom,
    PlansWhatNobodyAsked,
    ImportsAnother,
    Refuses,
    StaysAfterDelete,
    LosesWhatItMadeHalf,
    SaysMadeWhatIsNot,
    CountsItsCalls,
    TakesOverAnother,
}

/// What the remote API says where it fails on purpose.
pub(super) const FAILURE: &str = "Failed half way";

/// The remote API.
#[derive(Clone, Default)]
pub(super) struct Shop(Arc<Shelves>);

#[derive(Default)]
struct Shelves {
    things: Mutex<BTreeMap<String, Value>>,
    made: AtomicU64,
    writes: AtomicU64,
    /// Every so many writes fail; none, where it is zero.
    fails: u64,
}

impl Shop {
    /// Returns one of which every so many writes fail; none, where that is zero.
    pub(super) fn failing(fails: u64) -> Self {
        Self(Arc::new(Shelves {
            fails,
            ..Shelves::default()
        }))
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Value>) -> T) -> T {
        look(&mut self.0.things.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a write, and returns whether it fails.
    fn fails(&self) -> bool {
        let write = self.0.writes.fetch_add(1, Ordering::Relaxed);
        self.0.fails != 0 && write.is_multiple_of(self.0.fails)
    }

    /// Returns how many things there are.
    pub(super) fn count(&self) -> usize {
        self.with(|things| things.len())
    }
}

pub(super) struct Generic {
    schema: Schema,
    lie: Lie,
    shop: Shop,
}

impl Generic {
    pub(super) fn new(schema: Schema, lie: Lie, shop: Shop) -> Self {
        Self { schema, lie, shop }
    }
}

#[async_trait]
impl Provider for Generic {
    type Data = Shop;
    type Model = Value;

    fn schema(&self) -> Schema {
        Schema::new([])
    }

    async fn configure(&self, _: ConfigureRequest<'_>, _: &mut Diagnostics) -> Option<Shop> {
        Some(self.shop.clone())
    }

    fn offer(&self, offers: &mut Offers<Shop>) {
        let things = Things {
            schema: self.schema.clone(),
            lie: self.lie,
            asked: AtomicU64::new(0),
        };
        offers
            .resource(things)
            .with_modify_plan()
            .with_import_by_identity()
            .with_upgrade()
            .with_move();
        offers.function(Echo {
            lie: self.lie,
            asked: AtomicU64::new(0),
        });
    }
}

/// Returns what it is given.
struct Echo {
    lie: Lie,
    asked: AtomicU64,
}

#[derive(Arguments)]
struct Echoed {
    /// The first.
    first: model::Value<Dynamic>,
    /// All others.
    #[tf(variadic)]
    others: Vec<model::Value<Dynamic>>,
}

impl Function for Echo {
    type Arguments = Echoed;
    type Output = model::Value<Dynamic>;

    fn name(&self) -> &'static str {
        "echo"
    }

    fn summary(&self) -> &'static str {
        "Returns its last argument."
    }

    fn call(&self, arguments: Echoed) -> Result<model::Value<Dynamic>, FunctionError> {
        if self.lie == Lie::CountsItsCalls {
            let count = self.asked.fetch_add(1, Ordering::Relaxed);
            return Ok(model::Value::Known(Dynamic {
                ty: Type::String,
                value: count.to_string().into(),
            }));
        }
        Ok(arguments
            .others
            .into_iter()
            .next_back()
            .unwrap_or(arguments.first))
    }
}

struct Things {
    schema: Schema,
    lie: Lie,
    asked: AtomicU64,
}

#[derive(Identity)]
struct ThingIdentity {
    /// The id.
    id: model::Value<String>,
}

const REMEMBERED: Key<String> = Key::new("remembered");

/// Makes what is planned: every unknown becomes a value of its type.
fn realize(attributes: &[Attribute], value: &mut Value) {
    let Value::Object(entries) = value else { return };
    for attribute in attributes {
        let Some(entry) = entries.get_mut(&attribute.name) else {
            continue;
        };
        match &attribute.kind {
            Kind::Plain(ty) => known(entry, ty),
            Kind::Nested(nesting, inner) => {
                if entry.is_unknown() {
                    *entry = match nesting {
                        Nesting::Single => Value::Null,
                        Nesting::List => Value::List(Vec::new()),
                        Nesting::Set => Value::Set(Vec::new()),
                        Nesting::Map => Value::Map(BTreeMap::new()),
                    };
                }
                match entry {
                    Value::Object(_) => realize(inner, entry),
                    Value::List(elements) => elements.iter_mut().for_each(|element| realize(inner, element)),
                    Value::Set(elements) => {
                        for element in elements.iter_mut() {
                            realize(inner, element);
                        }
                        elements.sort();
                        elements.dedup();
                    }
                    Value::Map(elements) => elements.values_mut().for_each(|element| realize(inner, element)),
                    _ => {}
                }
            }
        }
    }
}

/// Makes a value known, and what is in it.
fn known(value: &mut Value, ty: &Type) {
    match (&mut *value, ty) {
        (Value::Unknown, _) => {
            *value = match ty {
                Type::Bool => true.into(),
                Type::Number => Value::Number(Number::from(7_i64)),
                Type::String => "made".into(),
                Type::List(_) => Value::List(Vec::new()),
                Type::Set(_) => Value::Set(Vec::new()),
                Type::Map(_) => Value::Map(BTreeMap::new()),
                Type::Dynamic => Value::Dynamic(Box::new(Dynamic {
                    ty: Type::String,
                    value: "made".into(),
                })),
                Type::Object(_) | Type::Tuple(_) => Value::Null,
            }
        }
        (Value::List(elements), Type::List(inner)) => {
            for element in elements.iter_mut() {
                known(element, inner);
            }
        }
        (Value::Set(elements), Type::Set(inner)) => {
            for element in elements.iter_mut() {
                known(element, inner);
            }
            elements.sort();
            elements.dedup();
        }
        (Value::Map(entries), Type::Map(inner)) => {
            for element in entries.values_mut() {
                known(element, inner);
            }
        }
        _ => {}
    }
}

impl Things {
    fn id(state: &Value) -> &str {
        state.get("id").as_str().unwrap_or_default()
    }

    /// Stores what is planned, and answers with it, or not quite.
    fn put(&self, shop: &Shop, id: &str, plan: &Value, config: &Value, response: &mut StateResponse) {
        let mut state = plan.clone();
        state.set_attribute("id", id);
        let fails = shop.fails();
        if fails {
            response.diagnostics.error(FAILURE, "Try again.");
        }
        realize(&self.schema.attributes, &mut state);
        // A creation that fails has made the thing; an update that fails has changed nothing.
        let is_there = shop.with(|things| things.contains_key(id));
        if fails && is_there {
            return;
        }
        if self.lie != Lie::SaysMadeWhatIsNot {
            shop.with(|things| things.insert(id.to_owned(), state.clone()));
        }
        response.private.set(&REMEMBERED, &id.to_owned());
        match self.lie {
            Lie::AnotherResult => state.set_attribute("a", "another"),
            Lie::StillUnknown => state.set_attribute("b", Value::Unknown),
            Lie::Tells => {
                let secret = config.get("secret").as_str().unwrap_or_default();
                response.private.set(&REMEMBERED, &secret.to_owned());
            }
            _ => {}
        }
        let forgets = self.lie == Lie::Forgets || (fails && self.lie == Lie::LosesWhatItMadeHalf);
        response.state = (!forgets).then_some(state);
    }
}

#[async_trait]
impl Resource<Shop> for Things {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "generic_thing"
    }

    fn schema(&self) -> Schema {
        self.schema.clone()
    }

    async fn create(
        &self,
        context: &Context<Shop>,
        request: CreateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(shop) = context.data() else { return };
        if self.lie == Lie::Refuses {
            response.diagnostics.error("Closed", "Nothing is made here.");
            return;
        }
        let id = format!("thing-{}", shop.0.made.fetch_add(1, Ordering::Relaxed));
        self.put(shop, &id, request.plan, request.config, response);
    }

    async fn read(&self, context: &Context<Shop>, request: ReadRequest<'_>, response: &mut StateResponse) {
        let Some(shop) = context.data() else { return };
        response.state = shop.with(|things| things.get(Self::id(request.state)).cloned());
        if let Some(state) = &mut response.state {
            match self.lie {
                Lie::AnotherRead => state.set_attribute("b", "another"),
                Lie::Renames => state.set_attribute("id", "thing-0"),
                _ => {}
            }
        }
        if self.lie == Lie::StaysAfterDelete && response.state.is_none() {
            response.state = Some(request.state.clone());
        }
    }

    async fn update(
        &self,
        context: &Context<Shop>,
        request: UpdateRequest<'_>,
        response: &mut StateResponse,
    ) {
        let Some(shop) = context.data() else { return };
        let id = if self.lie == Lie::Renames {
            "renamed"
        } else {
            Self::id(request.prior)
        };
        self.put(shop, id, request.plan, request.config, response);
    }

    async fn delete(&self, context: &Context<Shop>, request: DeleteRequest<'_>, _: &mut Diagnostics) {
        if let Some(shop) = context.data() {
            shop.with(|things| things.remove(Self::id(request.state)));
        }
    }
}

#[async_trait]
impl ResourceWithModifyPlan<Shop> for Things {
    async fn modify_plan(&self, _: &Context<Shop>, request: PlanRequest<'_>, response: &mut PlanResponse) {
        match self.lie {
            Lie::PlansAtRandom => {
                let asked = self.asked.fetch_add(1, Ordering::Relaxed);
                response.plan.set_attribute("b", asked.to_string());
            }
            Lie::PlansWhatNobodyAsked if request.is_create() => response.plan.set_attribute("a", "another"),
            _ => {}
        }
    }
}

impl ResourceWithIdentity<Shop> for Things {
    type Identity = ThingIdentity;

    fn identity(&self, _: &Context<Shop>, state: &Value) -> ThingIdentity {
        let id = match state.get("id") {
            Value::Unknown => model::Value::Unknown,
            id => id.as_str().map(str::to_owned).into(),
        };
        ThingIdentity { id }
    }
}

#[async_trait]
impl ResourceWithImportByIdentity<Shop> for Things {
    async fn import_by_identity(
        &self,
        _: &Context<Shop>,
        identity: &ThingIdentity,
        response: &mut StateResponse,
    ) {
        let id = if self.lie == Lie::ImportsAnother {
            Some("another")
        } else {
            identity.id.as_deref()
        };
        response.state = id.map(|id| Value::object([("id", Value::from(id))]));
    }
}

#[async_trait]
impl ResourceWithMove<Shop> for Things {
    async fn take_over(&self, request: MoveRequest<'_>, response: &mut StateResponse) {
        if request.type_name == "other_generic_thing" {
            response.state = request.stored.decode(&self.schema.ty()).ok();
            if let (Lie::TakesOverAnother, Some(state)) = (self.lie, &mut response.state) {
                state.set_attribute("id", "another");
            }
        }
    }
}

#[async_trait]
impl ResourceWithUpgrade<Shop> for Things {
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse) {
        response.state = request.stored.decode(&self.schema.ty()).ok();
    }
}
