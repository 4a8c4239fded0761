//! One attribute: its type, who sets it, and how it behaves in a plan.

use std::{fmt, sync::Arc};

use super::{Validator, object_type};
use crate::{
    diagnostics::Diagnostics,
    path::Path,
    value::{Type, Value},
};

/// How nested attributes repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// A map to objects.
    Map,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A value of a type.
    Plain(Type),
    /// Objects with attributes of their own.
    Nested(Nesting, Vec<Attribute>),
}

impl Kind {
    /// Returns the type of its values.
    pub fn ty(&self) -> Type {
        match self {
            Self::Plain(ty) => ty.clone(),
            Self::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }
}

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The configuration, always.
    Required,
    /// The configuration, or nobody.
    Optional,
    /// The configuration, or else the provider.
    OptionalComputed,
    /// The provider.
    Computed,
}

/// What the plan says of a computed attribute that the configuration does not set, when the resource is updated.
///
/// A new resource's computed attributes are unknown until it is created, whatever stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Computed {
    /// It keeps its prior value, null included.
    #[default]
    KeepPrior,
    /// It keeps its prior value, and is unknown where that is null.
    KeepPriorNonNull,
    /// Any update may change it: it is unknown whenever anything else changes.
    ChangesOnUpdate,
}

/// Whether a change of the attribute replaces the resource.
#[derive(Clone, Default)]
pub enum Replace {
    /// No; it is updated in place.
    #[default]
    Never,
    /// Yes, any change.
    OnChange,
    /// If the rule says so.
    If(Arc<dyn Fn(&ReplaceQuestion<'_>) -> bool + Send + Sync>),
}

/// What a replacement rule may look at.
#[derive(Debug)]
pub struct ReplaceQuestion<'a> {
    /// The attribute in the prior state.
    pub prior: &'a Value,
    /// The attribute in the configuration.
    pub config: &'a Value,
    /// The attribute as planned, which differs from prior.
    pub plan: &'a Value,
}

/// Decides whether two spellings of a value mean the same, such as `"60m"` and `"1h"`.
pub type Same = Arc<dyn Fn(&Value, &Value) -> bool + Send + Sync>;

/// Changes the planned value of an attribute.
pub type Modifier = Arc<dyn Fn(&mut AttributePlan<'_>, &mut Diagnostics) + Send + Sync>;

/// The attribute that a plan modifier may change.
#[derive(Debug)]
pub struct AttributePlan<'a> {
    /// Where the attribute stands.
    pub path: &'a Path,
    /// The attribute in the prior state; null for a new resource.
    pub prior: &'a Value,
    /// The attribute in the configuration.
    pub config: &'a Value,
    /// The planned value, to be changed.
    pub plan: &'a mut Value,
}

/// One attribute.
#[derive(Clone)]
pub struct Attribute {
    /// The name in the language.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Who sets it.
    pub mode: Mode,
    /// Whether Terraform hides it from its output. It still stands in state.
    pub sensitive: bool,
    /// Whether it stands in the configuration only, and never in plan or state.
    pub write_only: bool,
    /// What it is, as Markdown.
    pub description: String,
    /// Why not to use it any more.
    pub deprecation: Option<String>,
    /// The value it has where the configuration does not set it.
    pub default: Option<Value>,
    /// What a configured value must satisfy.
    pub validators: Vec<Arc<dyn Validator>>,
    /// Whether a change replaces the resource.
    pub replace: Replace,
    /// What a computed value does on update.
    pub computed: Computed,
    /// Further changes to the planned value.
    pub modifiers: Vec<Modifier>,
    /// Which spellings mean the same.
    pub same: Option<Same>,
}

impl Attribute {
    /// Returns an optional attribute of a type.
    pub fn plain(name: impl Into<String>, ty: Type) -> Self {
        Self::of_kind(name, Kind::Plain(ty))
    }

    /// Returns an optional attribute of text.
    pub fn string(name: impl Into<String>) -> Self {
        Self::plain(name, Type::String)
    }

    /// Returns an optional attribute that is true or false.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::plain(name, Type::Bool)
    }

    /// Returns an optional attribute that is a number.
    pub fn number(name: impl Into<String>) -> Self {
        Self::plain(name, Type::Number)
    }

    /// Returns an optional attribute that is one object.
    pub fn single(name: impl Into<String>, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self::nested(name, Nesting::Single, attributes)
    }

    /// Returns an optional attribute of nested objects.
    pub fn nested(
        name: impl Into<String>,
        nesting: Nesting,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> Self {
        Self::of_kind(name, Kind::Nested(nesting, attributes.into_iter().collect()))
    }

    /// Returns an optional attribute of a kind.
    pub fn of_kind(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            mode: Mode::Optional,
            sensitive: false,
            write_only: false,
            description: String::new(),
            deprecation: None,
            default: None,
            validators: Vec::new(),
            replace: Replace::Never,
            computed: Computed::KeepPrior,
            modifiers: Vec::new(),
            same: None,
        }
    }

    /// Sets the description, as Markdown.
    #[must_use]
    pub fn describe(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// The configuration must set it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.mode = Mode::Required;
        self
    }

    /// The configuration may set it. Attributes are so until something else is said.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.mode = Mode::Optional;
        self
    }

    /// The provider sets it.
    #[must_use]
    pub fn computed(mut self) -> Self {
        self.mode = Mode::Computed;
        self
    }

    /// The configuration may set it, and the provider does otherwise.
    #[must_use]
    pub fn optional_computed(mut self) -> Self {
        self.mode = Mode::OptionalComputed;
        self
    }

    /// Terraform does not show it.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// It stands in the configuration only; it is sensitive, too.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self.sensitive = true;
        self
    }

    /// Marks it as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    /// Sets the value it has where the configuration does not set it. The state then holds it, so it is computed, too.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self.mode = Mode::OptionalComputed;
        self
    }

    /// Adds a rule that a configured value must satisfy.
    #[must_use]
    pub fn validate(mut self, validator: impl Validator + 'static) -> Self {
        self.validators.push(Arc::new(validator));
        self
    }

    /// A change replaces the resource.
    #[must_use]
    pub fn requires_replace(mut self) -> Self {
        self.replace = Replace::OnChange;
        self
    }

    /// A change replaces the resource if the rule says so.
    #[must_use]
    pub fn requires_replace_if(
        mut self,
        rule: impl Fn(&ReplaceQuestion<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.replace = Replace::If(Arc::new(rule));
        self
    }

    /// Any update may change it.
    #[must_use]
    pub fn changes_on_update(mut self) -> Self {
        self.computed = Computed::ChangesOnUpdate;
        self
    }

    /// It keeps its prior value on update, and is unknown where that is null.
    #[must_use]
    pub fn keep_prior_non_null(mut self) -> Self {
        self.computed = Computed::KeepPriorNonNull;
        self
    }

    /// Adds a change to the planned value.
    #[must_use]
    pub fn modify(
        mut self,
        modifier: impl Fn(&mut AttributePlan<'_>, &mut Diagnostics) + Send + Sync + 'static,
    ) -> Self {
        self.modifiers.push(Arc::new(modifier));
        self
    }

    /// Says which spellings mean the same. The one that is written first is then kept.
    #[must_use]
    pub fn same_if(mut self, same: impl Fn(&Value, &Value) -> bool + Send + Sync + 'static) -> Self {
        self.same = Some(Arc::new(same));
        self
    }

    /// Returns the type of its values.
    pub fn ty(&self) -> Type {
        self.kind.ty()
    }

    /// Returns whether the provider may set it.
    pub fn is_computed(&self) -> bool {
        matches!(self.mode, Mode::Computed | Mode::OptionalComputed)
    }

    /// Returns whether the configuration may set it.
    pub fn is_configurable(&self) -> bool {
        self.mode != Mode::Computed
    }

    /// Returns whether two values of it mean the same.
    pub fn means_same(&self, a: &Value, b: &Value) -> bool {
        a == b || (a.is_known() && b.is_known() && self.same.as_ref().is_some_and(|same| same(a, b)))
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("mode", &self.mode)
            .field("write_only", &self.write_only)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "Never",
            Self::OnChange => "OnChange",
            Self::If(_) => "If",
        })
    }
}
