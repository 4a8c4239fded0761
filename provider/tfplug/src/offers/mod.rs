//! What a provider offers: each thing once, with what it can do beyond its core.
//!
//! An ability is a trait that the type implements and a word here; the word does not compile without the trait.

mod erased;
mod managed;
mod others;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    action::{Action, ActionWithPlan, ActionWithValidate},
    data_source::{DataSource, DataSourceWithValidate},
    ephemeral::{
        EphemeralResource, EphemeralResourceWithClose, EphemeralResourceWithRenew,
        EphemeralResourceWithValidate,
    },
    function::Function,
    list::ListResource,
    model::Codec,
    provider::Provider,
    resource::{
        Resource, ResourceWithGenerateConfig, ResourceWithIdentity, ResourceWithImport,
        ResourceWithImportByIdentity, ResourceWithModifyPlan, ResourceWithMove, ResourceWithUpgrade,
        ResourceWithUpgradeIdentity, ResourceWithValidate,
    },
    schema::{self, Role, Schema},
};

use managed::AnyResource;
use others::{AnyAction, AnyDataSource, AnyEphemeral};

pub(crate) use erased::{Given, Told, Validates, outcome, read};
pub(crate) use managed::{ListParts, Managed, Wanted};
pub(crate) use others::{ActionParts, DataSourceParts, EphemeralParts, FunctionParts, Signature};

/// Things by their name, as the provider offers them.
pub(crate) type Named<T> = BTreeMap<String, T>;

/// What a provider offers.
#[allow(missing_debug_implementations, reason = "it holds the author's code")]
pub struct Offers<D> {
    pub(crate) resources: Named<Managed<D>>,
    pub(crate) data_sources: Named<DataSourceParts<D>>,
    pub(crate) ephemerals: Named<EphemeralParts<D>>,
    pub(crate) actions: Named<ActionParts<D>>,
    pub(crate) functions: Named<FunctionParts>,
    /// What was offered twice, as sentences.
    pub(crate) problems: Vec<String>,
}

impl<D: Send + Sync + 'static> Default for Offers<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Send + Sync + 'static> Offers<D> {
    /// Returns nothing.
    pub fn new() -> Self {
        Self {
            resources: Named::new(),
            data_sources: Named::new(),
            ephemerals: Named::new(),
            actions: Named::new(),
            functions: Named::new(),
            problems: Vec::new(),
        }
    }

    /// Offers a managed resource.
    pub fn resource<R: Resource<D>>(&mut self, resource: R) -> ResourceOffer<'_, D, R> {
        let name = resource.type_name().to_owned();
        let resource = Arc::new(resource);
        let parts = Managed::new(Arc::clone(&resource) as Arc<dyn AnyResource<D>>);
        let parts = add(
            &mut self.resources,
            &mut self.problems,
            "resource type",
            name,
            parts,
        );
        ResourceOffer { resource, parts }
    }

    /// Offers a data source, whose model has no [`Secret`](crate::model::Secret).
    pub fn data_source<S: DataSource<D>>(&mut self, source: S) -> DataSourceOffer<'_, D, S> {
        const {
            assert!(
                !S::Model::TRAITS.write_only,
                "only resources have write-only values"
            );
        };
        let name = source.type_name().to_owned();
        let source = Arc::new(source);
        let parts = DataSourceParts::new(Arc::clone(&source) as Arc<dyn AnyDataSource<D>>);
        let parts = add(
            &mut self.data_sources,
            &mut self.problems,
            "data source",
            name,
            parts,
        );
        DataSourceOffer { source, parts }
    }

    /// Offers an ephemeral resource, whose model has no [`Secret`](crate::model::Secret): none of its values are kept
    /// anyway.
    pub fn ephemeral<E: EphemeralResource<D>>(&mut self, ephemeral: E) -> EphemeralOffer<'_, D, E> {
        const {
            assert!(
                !E::Model::TRAITS.write_only,
                "only resources have write-only values"
            );
        };
        let name = ephemeral.type_name().to_owned();
        let ephemeral = Arc::new(ephemeral);
        let parts = EphemeralParts::new(Arc::clone(&ephemeral) as Arc<dyn AnyEphemeral<D>>);
        let parts = add(
            &mut self.ephemerals,
            &mut self.problems,
            "ephemeral resource type",
            name,
            parts,
        );
        EphemeralOffer { ephemeral, parts }
    }

    /// Offers an action.
    pub fn action<A: Action<D>>(&mut self, action: A) -> ActionOffer<'_, D, A> {
        let name = action.type_name().to_owned();
        let action = Arc::new(action);
        let parts = ActionParts::new(Arc::clone(&action) as Arc<dyn AnyAction<D>>);
        let parts = add(&mut self.actions, &mut self.problems, "action type", name, parts);
        ActionOffer { action, parts }
    }

    /// Offers a function.
    pub fn function<F: Function>(&mut self, function: F) {
        let name = function.name().to_owned();
        let parts = FunctionParts::new(Box::new(function));
        add(&mut self.functions, &mut self.problems, "function", name, parts);
    }
}

/// Adds a thing under its name. Of two with one name the later stays, and the schema says so.
fn add<'a, T>(
    things: &'a mut Named<T>,
    problems: &mut Vec<String>,
    noun: &str,
    name: String,
    thing: T,
) -> &'a mut T {
    match things.entry(name) {
        std::collections::btree_map::Entry::Vacant(free) => free.insert(thing),
        std::collections::btree_map::Entry::Occupied(mut taken) => {
            problems.push(format!("The {noun} `{}` is offered twice", taken.key()));
            taken.insert(thing);
            taken.into_mut()
        }
    }
}

/// A resource that was offered, to which abilities can be added.
#[allow(missing_debug_implementations, reason = "it holds the author's code")]
pub struct ResourceOffer<'a, D, R> {
    resource: Arc<R>,
    parts: &'a mut Managed<D>,
}

#[allow(
    clippy::return_self_not_must_use,
    reason = "it is offered already, whether or not another word follows"
)]
impl<D: Send + Sync + 'static, R: Resource<D>> ResourceOffer<'_, D, R> {
    /// Its configurations are checked.
    pub fn with_validate(self) -> Self
    where
        R: ResourceWithValidate<D>,
    {
        self.parts.validate = Some(Arc::new(erased::Of::<_, erased::ResourceKind>::new(
            &self.resource,
        )));
        self
    }

    /// It has a say in its plans.
    pub fn with_modify_plan(self) -> Self
    where
        R: ResourceWithModifyPlan<D>,
    {
        self.parts.modify_plan = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It can be imported by a text.
    pub fn with_import(self) -> Self
    where
        R: ResourceWithImport<D>,
    {
        self.parts.import = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It has an identity.
    pub fn with_identity(self) -> Self
    where
        R: ResourceWithIdentity<D>,
    {
        self.parts.identity = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It has an identity and can be imported by it.
    pub fn with_import_by_identity(self) -> Self
    where
        R: ResourceWithImportByIdentity<D>,
    {
        self.parts.import_by_identity = Some(Arc::clone(&self.resource) as _);
        self.with_identity()
    }

    /// It has an identity, of which older versions can be upgraded.
    pub fn with_upgrade_identity(self) -> Self
    where
        R: ResourceWithUpgradeIdentity<D>,
    {
        self.parts.upgrade_identity = Some(Arc::clone(&self.resource) as _);
        self.with_identity()
    }

    /// State of an older schema can be upgraded.
    pub fn with_upgrade(self) -> Self
    where
        R: ResourceWithUpgrade<D>,
    {
        self.parts.upgrade = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It takes over the state of other types.
    pub fn with_move(self) -> Self
    where
        R: ResourceWithMove<D>,
    {
        self.parts.take_over = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It has a say in the configuration generated for it.
    pub fn with_generate_config(self) -> Self
    where
        R: ResourceWithGenerateConfig<D>,
    {
        self.parts.generate = Some(Arc::clone(&self.resource) as _);
        self
    }

    /// It has an identity and can be listed.
    pub fn with_list<L>(self, list: L) -> Self
    where
        R: ResourceWithIdentity<D>,
        L: ListResource<D, R>,
    {
        const {
            assert!(
                !L::Config::TRAITS.write_only,
                "only resources have write-only values"
            );
        };
        self.parts.list = Some(managed::list::<D, R, L>(list));
        self.with_identity()
    }
}

/// A data source that was offered, to which abilities can be added.
#[allow(missing_debug_implementations, reason = "it holds the author's code")]
pub struct DataSourceOffer<'a, D, S> {
    source: Arc<S>,
    parts: &'a mut DataSourceParts<D>,
}

#[allow(
    clippy::return_self_not_must_use,
    reason = "it is offered already, whether or not another word follows"
)]
impl<D: Send + Sync + 'static, S: DataSource<D>> DataSourceOffer<'_, D, S> {
    /// Its configurations are checked.
    pub fn with_validate(self) -> Self
    where
        S: DataSourceWithValidate<D>,
    {
        self.parts.validate = Some(Arc::new(erased::Of::<_, erased::DataSourceKind>::new(
            &self.source,
        )));
        self
    }
}

/// An ephemeral resource that was offered, to which abilities can be added.
#[allow(missing_debug_implementations, reason = "it holds the author's code")]
pub struct EphemeralOffer<'a, D, E> {
    ephemeral: Arc<E>,
    parts: &'a mut EphemeralParts<D>,
}

#[allow(
    clippy::return_self_not_must_use,
    reason = "it is offered already, whether or not another word follows"
)]
impl<D: Send + Sync + 'static, E: EphemeralResource<D>> EphemeralOffer<'_, D, E> {
    /// Its configurations are checked.
    pub fn with_validate(self) -> Self
    where
        E: EphemeralResourceWithValidate<D>,
    {
        self.parts.validate = Some(Arc::new(erased::Of::<_, erased::EphemeralKind>::new(
            &self.ephemeral,
        )));
        self
    }

    /// It has to be renewed while the run lasts.
    pub fn with_renew(self) -> Self
    where
        E: EphemeralResourceWithRenew<D>,
    {
        self.parts.renew = Some(Arc::clone(&self.ephemeral) as _);
        self
    }

    /// It has to be closed after the run.
    pub fn with_close(self) -> Self
    where
        E: EphemeralResourceWithClose<D>,
    {
        self.parts.close = Some(Arc::clone(&self.ephemeral) as _);
        self
    }
}

/// An action that was offered, to which abilities can be added.
#[allow(missing_debug_implementations, reason = "it holds the author's code")]
pub struct ActionOffer<'a, D, A> {
    action: Arc<A>,
    parts: &'a mut ActionParts<D>,
}

#[allow(
    clippy::return_self_not_must_use,
    reason = "it is offered already, whether or not another word follows"
)]
impl<D: Send + Sync + 'static, A: Action<D>> ActionOffer<'_, D, A> {
    /// Its configurations are checked.
    pub fn with_validate(self) -> Self
    where
        A: ActionWithValidate<D>,
    {
        self.parts.validate = Some(Arc::new(erased::Of::<_, erased::ActionKind>::new(&self.action)));
        self
    }

    /// It looks at its configuration when Terraform plans.
    pub fn with_plan(self) -> Self
    where
        A: ActionWithPlan<D>,
    {
        self.parts.plan = Some(Arc::clone(&self.action) as _);
        self
    }
}

/// Returns what is wrong with a provider's schemas, as sentences; nothing for a provider that Terraform accepts.
///
/// ```
/// # fn check(provider: impl tfplug::provider::Provider) {
/// assert!(tfplug::offers::problems(&provider).is_empty());
/// # }
/// ```
pub fn problems<P: Provider>(provider: &P) -> Vec<String> {
    let mut offers = Offers::new();
    provider.offer(&mut offers);
    let mut found = std::mem::take(&mut offers.problems);
    let mut check = |name: &str, schema: &Schema, role: Role| {
        let problems = schema::problems(schema, role);
        found.extend(problems.into_iter().map(|problem| format!("`{name}`: {problem}")));
    };
    check("provider", &provider.schema(), Role::Provider);
    for (name, parts) in &offers.resources {
        check(name, &parts.core.schema(), Role::Resource);
        if let Some(list) = &parts.list {
            check(name, &list.list.schema(), Role::List);
        }
    }
    for (name, parts) in &offers.data_sources {
        check(name, &parts.core.schema(), Role::DataSource);
    }
    for (name, parts) in &offers.ephemerals {
        check(name, &parts.core.schema(), Role::Ephemeral);
    }
    for (name, parts) in &offers.actions {
        check(name, &parts.core.schema(), Role::Action);
    }
    found
}
