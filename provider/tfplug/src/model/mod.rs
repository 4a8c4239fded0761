//! Rust types that stand for Terraform's: what the derives [`Model`], [`Identity`](crate::identity::Identity) and
//! [`Arguments`](crate::function::Arguments) are made of.
//!
//! A field of a model is a [`Value<T>`](Value), which says null, unknown or known, or a [`Secret`], which is write-only.
//! So are the elements of lists, sets and maps, since any of them may be unknown while Terraform plans. Nothing else is
//! a field: a plain `String` that meets a null cannot be written down.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use tfplug::{
//!     model::{Model, Secret, Set, Value},
//!     schema::{between, one_of},
//! };
//!
//! /// A dog.
//! ///
//! /// It barks.
//! #[derive(Model)]
//! struct Dog {
//!     /// The dog's id.
//!     #[tf(computed)]
//!     id: Value<String>,
//!     /// What it answers to.
//!     #[tf(required, requires_replace)]
//!     name: Value<String>,
//!     /// In kilograms.
//!     #[tf(validate = between(0, 200))]
//!     weight: Value<u32>,
//!     /// How it usually is.
//!     #[tf(default = "calm", validate = one_of(["calm", "wild"]))]
//!     mood: Value<String>,
//!     /// What it can do.
//!     tricks: Value<Set<String>>,
//!     /// What it wears.
//!     collar: Value<Collar>,
//!     /// What it plays with, by name.
//!     toys: Value<BTreeMap<String, Value<Toy>>>,
//!     /// The secret on its chip.
//!     chip: Secret,
//! }
//!
//! /// What a dog wears.
//! #[derive(Model)]
//! struct Collar {
//!     /// Its color.
//!     #[tf(required)]
//!     color: Value<String>,
//! }
//!
//! /// What a dog plays with.
//! #[derive(Model)]
//! struct Toy {
//!     /// Whether it squeaks.
//!     #[tf(default = false)]
//!     squeaks: Value<bool>,
//! }
//!
//! let schema = Dog::schema();
//! assert_eq!(schema.description, "A dog.\n\nIt barks.");
//! assert!(schema.attribute("chip").unwrap().write_only);
//! assert_eq!(Dog::at().collar().color().to_string(), "collar.color");
//! assert_eq!(Dog::at().toys().key("ball").squeaks().to_string(), r#"toys["ball"].squeaks"#);
//! ```
//!
//! # What an attribute says
//!
//! | `#[tf(…)]` | means |
//! |---|---|
//! | `required`, `optional`, `computed` | who sets it; `optional, computed` is both; nothing is `optional` |
//! | `default = VALUE` | the value it has where the configuration does not set it |
//! | `validate = RULE` | a [`Validator`](crate::schema::Validator); may stand several times |
//! | `requires_replace`, `requires_replace_if = FN` | a change replaces the resource |
//! | `changes_on_update`, `keep_prior_non_null` | what a computed value does on update; otherwise it keeps its prior |
//! | `same_if = FN` | which spellings mean the same, as a function of two `&T` |
//! | `modify = FN` | a further plan modifier |
//! | `sensitive`, `deprecated = "…"` | as they say |
//! | `name = "…"` | the name, where it is not the field's |
//!
//! At the struct: `#[tf(version = 2)]` for stored state, `#[tf(deprecated = "…")]`.
//!
//! # What cannot be written
//!
//! A field that is not tri-state:
//!
//! ```compile_fail,E0277
//! #[derive(tfplug::model::Model)]
//! struct Dog {
//!     name: String,
//! }
//! ```
//!
//! A binary fraction, which would round:
//!
//! ```compile_fail,E0277
//! #[derive(tfplug::model::Model)]
//! struct Dog {
//!     weight: tfplug::model::Value<f64>,
//! }
//! ```
//!
//! A default in an element of a set, which would change which element it is (`optional, computed` is refused there, too):
//!
//! ```compile_fail,E0080
//! use tfplug::model::{Model, Set, Value};
//! #[derive(Model)]
//! struct Toy {
//!     #[tf(default = false)]
//!     squeaks: Value<bool>,
//! }
//! #[derive(Model)]
//! struct Dog {
//!     toys: Value<Set<Toy>>,
//! }
//! ```
//!
//! A secret in a set, in a computed object, or that is computed itself:
//!
//! ```compile_fail,E0080
//! use tfplug::model::{Model, Secret, Set, Value};
//! #[derive(Model)]
//! struct Chip {
//!     code: Secret,
//! }
//! #[derive(Model)]
//! struct Dog {
//!     chips: Value<Set<Chip>>,
//! }
//! ```
//!
//! ```compile_fail,E0080
//! use tfplug::model::{Model, Secret, Value};
//! #[derive(Model)]
//! struct Chip {
//!     code: Secret,
//! }
//! #[derive(Model)]
//! struct Dog {
//!     #[tf(computed)]
//!     chip: Value<Chip>,
//! }
//! ```
//!
//! ```compile_fail
//! #[derive(tfplug::model::Model)]
//! struct Dog {
//!     #[tf(computed)]
//!     chip: tfplug::model::Secret,
//! }
//! ```
//!
//! A default that is required, and one of another type:
//!
//! ```compile_fail
//! #[derive(tfplug::model::Model)]
//! struct Dog {
//!     #[tf(required, default = "calm")]
//!     mood: tfplug::model::Value<String>,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(tfplug::model::Model)]
//! struct Dog {
//!     #[tf(default = "calm")]
//!     weight: tfplug::model::Value<u32>,
//! }
//! ```

mod at;
mod secret;
mod traits;
mod types;

#[cfg(test)]
mod tests;

use std::{fmt, marker::PhantomData};

use crate::{
    path::Path,
    schema::{Attribute, Kind, Schema},
    value::{self, CodecError},
};

pub use at::{ListAt, MapAt, SetAt};
pub use secret::Secret;
pub use tfplug_derive::Model;
pub use traits::Traits;
pub use types::Set;

/// What can be read from a whole configuration, plan or state, and written as one: a [`Model`], or the untyped
/// [`value::Value`] for schemas that are made at run time.
pub trait Codec: Sized + Send + Sync + 'static {
    /// What stands in it.
    const TRAITS: Traits;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the value is not of this type; the error names the place.
    fn read(value: &value::Value) -> Result<Self, CodecError>;

    /// Writes it. Secrets are written as null.
    fn write(&self) -> value::Value;
}

impl Codec for value::Value {
    const TRAITS: Traits = Traits::NONE;

    fn read(value: &value::Value) -> Result<Self, CodecError> {
        Ok(value.clone())
    }

    fn write(&self) -> value::Value {
        self.clone()
    }
}

/// A struct with a schema: made by `#[derive(Model)]`.
pub trait Model: Typed + Codec {
    /// Returns its attributes, in the order of its fields.
    fn attributes() -> Vec<Attribute>;

    /// Returns its schema, described by its doc comment.
    fn schema() -> Schema;
}

/// A Rust type that stands for a type of Terraform's.
pub trait Typed: Sized + Send + Sync + 'static {
    /// What stands in it.
    const TRAITS: Traits;
    /// Its typed path.
    type At: From<Path>;

    /// Returns what an attribute of this type holds.
    fn kind() -> Kind;

    /// Reads a value that is neither null nor unknown.
    ///
    /// # Errors
    ///
    /// Where the value is not of this type.
    fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError>;

    /// Writes the value.
    fn write_value(&self) -> value::Value;
}

/// What can be a field of a model: [`Value`] and [`Secret`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a model",
    label = "use `Value<…>`, which may be null or unknown, or `Secret`"
)]
pub trait Field: Sized {
    /// What stands in it.
    const TRAITS: Traits;
    /// Its typed path.
    type At: From<Path>;

    /// Returns an optional attribute for it.
    fn attribute(name: &str) -> Attribute;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the value is not of this type.
    fn read_field(value: &value::Value, path: &mut Path) -> Result<Self, CodecError>;

    /// Writes it.
    fn write_field(&self) -> value::Value;
}

/// A value of a configuration, plan or state: absent, not known until apply, or known.
///
/// Its `Debug` tells which of the three it is and never what it holds.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<T> {
    /// Absent.
    #[default]
    Null,
    /// Not known until apply.
    Unknown,
    /// Known.
    Known(T),
}

impl<T> Value<T> {
    /// Returns what is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Returns what is known, to be changed.
    pub fn known_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Returns what is known, by value.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Returns whether it is absent.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns whether it is not known until apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

impl<T: std::ops::Deref> Value<T> {
    /// Returns what is known, borrowed further: a `&str` of a `String`.
    pub fn as_deref(&self) -> Option<&T::Target> {
        self.known().map(std::ops::Deref::deref)
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Unknown => "unknown",
            Self::Known(_) => "known",
        })
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Value<String> {
    fn from(text: &str) -> Self {
        Self::Known(text.to_owned())
    }
}

/// Nothing is null.
impl<T> From<Option<T>> for Value<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}

impl<T: Typed> Field for Value<T> {
    const TRAITS: Traits = T::TRAITS;
    type At = T::At;

    fn attribute(name: &str) -> Attribute {
        Attribute::of_kind(name, T::kind())
    }

    fn read_field(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        match value {
            value::Value::Null => Ok(Self::Null),
            value::Value::Unknown => Ok(Self::Unknown),
            known => T::read_at(known, path).map(Self::Known),
        }
    }

    fn write_field(&self) -> value::Value {
        match self {
            Self::Null => value::Value::Null,
            Self::Unknown => value::Value::Unknown,
            Self::Known(value) => value.write_value(),
        }
    }
}

/// Reads an attribute of an object: what the derives call for each field.
///
/// # Errors
///
/// Where the object has no such attribute, or the attribute is not of the type.
pub fn read_attribute<F: Field>(object: &value::Value, name: &str, path: &mut Path) -> Result<F, CodecError> {
    let Some(value) = object.entries().and_then(|entries| entries.get(name)) else {
        return Err(CodecError::at(path, format!("the attribute `{name}` is missing")));
    };
    path.push(crate::path::Step::Attribute(name.to_owned()));
    let field = F::read_field(value, path);
    path.pop();
    field
}

/// Says that a value is of another kind than the type: for implementations of [`Typed`].
pub fn mismatch(wanted: &str, value: &value::Value, path: &Path) -> CodecError {
    CodecError::at(path, format!("{wanted} was expected, not {}", value.kind()))
}

/// Lifts a comparison of two known `T` to values: for `same_if` of the derive, whose field is a `Value<T>`.
pub fn same_of<T: Typed>(
    _: PhantomData<fn() -> Value<T>>,
    same: impl Fn(&T, &T) -> bool + Send + Sync + 'static,
) -> impl Fn(&value::Value, &value::Value) -> bool + Send + Sync + 'static {
    move |a, b| {
        let read = |value| T::read_at(value, &mut Path::root()).ok();
        read(a).zip(read(b)).is_some_and(|(a, b)| same(&a, &b))
    }
}
