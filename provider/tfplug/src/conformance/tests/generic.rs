//! A provider with one resource of any schema, whose remote API is a map; and the lies that it can tell.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics,
    identity::Identity,
    model,
    offers::Offers,
    private::Key,
    provider::{ConfigureRequest, Context, Provider},
    resource::{
        CreateRequest, DeleteRequest, PlanRequest, PlanResponse, ReadRequest, Resource, ResourceWithIdentity,
        ResourceWithImportByIdentity, ResourceWithModifyPlan, ResourceWithUpgrade, StateResponse,
        UpdateRequest, UpgradeRequest,
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
}

/// The remote API.
#[derive(Default)]
pub(super) struct Shop {
    things: Mutex<BTreeMap<String, Value>>,
    made: AtomicU64,
}

impl Shop {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Value>) -> T) -> T {
        look(&mut self.things.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Generic {
    schema: Schema,
    lie: Lie,
}

impl Generic {
    pub(super) fn new(schema: Schema, lie: Lie) -> Self {
        Self { schema, lie }
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
        Some(Shop::default())
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
            .with_upgrade();
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
        realize(&self.schema.attributes, &mut state);
        shop.with(|things| things.insert(id.to_owned(), state.clone()));
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
        response.state = (self.lie != Lie::Forgets).then_some(state);
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
        let id = format!("thing-{}", shop.made.fetch_add(1, Ordering::Relaxed));
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
impl ResourceWithUpgrade<Shop> for Things {
    async fn upgrade(&self, request: UpgradeRequest<'_>, response: &mut StateResponse) {
        response.state = request.stored.decode(&self.schema.ty()).ok();
    }
}
