//! Identity: what names a resource for good, apart from its attributes.
//!
//! Terraform and OpenTofu from 1.12 keep it beside the state, import by it, and list by it. It is not written by hand:
//! a resource says what it is for a state, and the server asks after every operation and holds it against the one
//! before.

use crate::{
    model::{Field, Typed, Value},
    value::{self, CodecError, Number, Type},
};

pub use tfplug_derive::Identity;

/// What the identities of a resource type are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySchema {
    /// The version of stored identities, which grows when they have to be upgraded.
    pub version: i64,
    /// The attributes.
    pub attributes: Vec<IdentityAttribute>,
}

/// One attribute of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityAttribute {
    /// The name in the language.
    pub name: String,
    /// Its type: a text, number or bool, or a list of these.
    pub ty: Type,
    /// Whether an import has to name it; otherwise it may.
    pub required_for_import: bool,
    /// What it is.
    pub description: String,
}

impl IdentitySchema {
    /// Returns the object type of identities.
    pub fn ty(&self) -> Type {
        Type::object(
            self.attributes
                .iter()
                .map(|attribute| (attribute.name.clone(), attribute.ty.clone())),
        )
    }
}

/// The identity of a resource type: made by `#[derive(Identity)]`.
///
/// ```
/// use tfplug::{identity::Identity, model::Value};
///
/// /// Each field has a description.
/// #[derive(Identity)]
/// struct DogIdentity {
///     /// The dog's id.
///     id: Value<String>,
///     /// The kennel; the default one where it is left out of an import.
///     #[tf(optional)]
///     kennel: Value<String>,
/// }
///
/// let schema = DogIdentity::schema();
/// assert!(schema.attributes[0].required_for_import);
/// assert!(!schema.attributes[1].required_for_import);
/// ```
///
/// An identity has no objects, sets or maps, and no secrets:
///
/// ```compile_fail,E0277
/// use tfplug::{identity::Identity, model::{Set, Value}};
/// #[derive(Identity)]
/// struct DogIdentity {
///     names: Value<Set<String>>,
/// }
/// ```
pub trait Identity: Sized + Send + Sync + 'static {
    /// Returns what it is made of.
    fn schema() -> IdentitySchema;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the value is not one; the error names the place.
    fn read(value: &value::Value) -> Result<Self, CodecError>;

    /// Writes it.
    fn write(&self) -> value::Value;
}

/// What an attribute of an identity may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an identity",
    label = "use `Value<…>` of text, a number, a bool, or a list of these"
)]
pub trait IdentityField: Field {
    /// Returns its type.
    fn ty() -> Type;
}

/// A text, number or bool.
pub trait Primitive: Typed {}

impl Primitive for bool {}
impl Primitive for String {}
impl Primitive for Number {}
impl Primitive for i64 {}
impl Primitive for i32 {}
impl Primitive for u64 {}
impl Primitive for u32 {}

impl<T: Primitive> IdentityField for Value<T> {
    fn ty() -> Type {
        T::kind().ty()
    }
}

impl<T: Primitive> IdentityField for Value<Vec<Value<T>>> {
    fn ty() -> Type {
        Type::list(T::kind().ty())
    }
}
