//! What the author of a function writes.
//!
//! A function is pure: it is called while configurations are validated, on a provider that is not configured, and any
//! number of times. So it gets its arguments and nothing else.

use std::fmt;

use crate::{
    model::{Typed, Value},
    path::Path,
    value::{self, CodecError, Type},
};

pub use tfplug_derive::Arguments;

/// A function, called as `provider::name::function(…)`.
///
/// ```
/// use tfplug::function::{Arguments, Function, FunctionError};
///
/// #[derive(Arguments)]
/// struct Words {
///     /// What stands between the words.
///     separator: String,
///     /// The words.
///     #[tf(variadic)]
///     words: Vec<String>,
/// }
///
/// struct Join;
///
/// impl Function for Join {
///     type Arguments = Words;
///     type Output = String;
///
///     fn name(&self) -> &str {
///         "join_words"
///     }
///
///     fn summary(&self) -> &str {
///         "Joins words."
///     }
///
///     fn call(&self, arguments: Words) -> Result<String, FunctionError> {
///         Ok(arguments.words.join(&arguments.separator))
///     }
/// }
/// ```
pub trait Function: Send + Sync + 'static {
    /// Its parameters.
    type Arguments: Arguments;
    /// What it returns.
    type Output: Argument;

    /// Returns its name: a verb, without the provider's name.
    fn name(&self) -> &str;

    /// Returns what it does, in one sentence.
    fn summary(&self) -> &str;

    /// Returns what it does, as Markdown.
    fn description(&self) -> &str {
        self.summary()
    }

    /// Returns why not to use it any more.
    fn deprecation(&self) -> Option<&str> {
        None
    }

    /// Calls it.
    ///
    /// # Errors
    ///
    /// What is wrong, and with which argument.
    fn call(&self, arguments: Self::Arguments) -> Result<Self::Output, FunctionError>;
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// What is wrong, as sentences.
    pub text: String,
    /// The position of the argument that is wrong, from zero.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// Returns an error of the call as a whole.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: None,
        }
    }

    /// Returns an error of the argument at this position, from zero.
    pub fn at(argument: usize, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: Some(argument),
        }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for FunctionError {}

/// One parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, for documentation and errors.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it may be unknown.
    pub unknown: bool,
    /// What it is, as Markdown.
    pub description: String,
}

impl Parameter {
    /// Returns the parameter for a Rust type.
    pub fn of<A: Argument>(name: &str, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            ty: A::ty(),
            nullable: A::NULLABLE,
            unknown: A::UNKNOWN,
            description: description.to_owned(),
        }
    }
}

/// The parameters of a function: made by `#[derive(Arguments)]`.
///
/// Each field is a parameter: a `T` is neither null nor unknown, an `Option<T>` may be null, and a `Value<T>` may be
/// both. The last one may be `#[tf(variadic)]`, as a `Vec` of these.
pub trait Arguments: Sized + Send + 'static {
    /// Returns the parameters, the variadic one last and apart.
    fn parameters() -> (Vec<Parameter>, Option<Parameter>);

    /// Reads the arguments of a call.
    ///
    /// # Errors
    ///
    /// Where an argument is missing, or is not of its type.
    fn read(arguments: &[value::Value]) -> Result<Self, FunctionError>;
}

/// A function without parameters.
impl Arguments for () {
    fn parameters() -> (Vec<Parameter>, Option<Parameter>) {
        (Vec::new(), None)
    }

    fn read(_: &[value::Value]) -> Result<Self, FunctionError> {
        Ok(())
    }
}

/// What can be an argument or a result.
pub trait Argument: Sized + Send + 'static {
    /// Whether it may be null.
    const NULLABLE: bool;
    /// Whether it may be unknown.
    const UNKNOWN: bool;

    /// Returns its type.
    fn ty() -> Type;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the value is not of the type.
    fn read(value: &value::Value) -> Result<Self, CodecError>;

    /// Writes it.
    fn write(&self) -> value::Value;
}

impl<T: Typed> Argument for T {
    const NULLABLE: bool = false;
    const UNKNOWN: bool = false;

    fn ty() -> Type {
        T::kind().ty()
    }

    fn read(value: &value::Value) -> Result<Self, CodecError> {
        T::read_at(value, &mut Path::root())
    }

    fn write(&self) -> value::Value {
        self.write_value()
    }
}

impl<T: Typed> Argument for Option<T> {
    const NULLABLE: bool = true;
    const UNKNOWN: bool = false;

    fn ty() -> Type {
        T::kind().ty()
    }

    fn read(value: &value::Value) -> Result<Self, CodecError> {
        if value.is_null() {
            Ok(None)
        } else {
            T::read_at(value, &mut Path::root()).map(Some)
        }
    }

    fn write(&self) -> value::Value {
        self.as_ref().map_or(value::Value::Null, Typed::write_value)
    }
}

impl<T: Typed> Argument for Value<T> {
    const NULLABLE: bool = true;
    const UNKNOWN: bool = true;

    fn ty() -> Type {
        T::kind().ty()
    }

    fn read(value: &value::Value) -> Result<Self, CodecError> {
        crate::model::Field::read_field(value, &mut Path::root())
    }

    fn write(&self) -> value::Value {
        crate::model::Field::write_field(self)
    }
}

/// Reads the argument at a position: what the derive calls.
///
/// # Errors
///
/// Where there is none, or it is not of the type.
pub fn argument<A: Argument>(arguments: &[value::Value], position: usize) -> Result<A, FunctionError> {
    let value = arguments
        .get(position)
        .ok_or_else(|| FunctionError::at(position, "The argument is missing."))?;
    A::read(value)
        .map_err(|error| FunctionError::at(position, format!("The argument is not valid: {error}.")))
}

/// Reads all arguments from a position on: what the derive calls for a variadic parameter.
///
/// # Errors
///
/// Where one is not of the type.
pub fn arguments_from<A: Argument>(
    arguments: &[value::Value],
    first: usize,
) -> Result<Vec<A>, FunctionError> {
    (first..arguments.len())
        .map(|position| argument(arguments, position))
        .collect()
}
