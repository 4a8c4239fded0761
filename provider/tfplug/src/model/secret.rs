//! Write-only values.

use zeroize::Zeroizing;

use super::{Field, Traits, Value, mismatch};
use crate::{
    path::Path,
    schema::Attribute,
    value::{self, CodecError, Type},
};

/// A write-only text: it stands in the configuration, and never in a plan or a state.
///
/// So it is read from a model of the configuration; in models of plans and states it is null, and it is written as null
/// whatever it holds. It cannot be printed, compared or copied, and is overwritten in memory when it is dropped.
///
/// ```compile_fail,E0277
/// # let secret = tfplug::model::Secret::default();
/// println!("{secret:?}");
/// ```
#[derive(Default)]
#[allow(missing_debug_implementations, reason = "a secret is never printed")]
pub struct Secret(Value<Zeroizing<String>>);

impl Secret {
    /// Returns the text, where the configuration sets it and it is known.
    pub fn expose(&self) -> Option<&str> {
        self.0.known().map(|text| text.as_str())
    }

    /// Returns whether the configuration does not set it.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// Returns whether it is not known until apply.
    pub fn is_unknown(&self) -> bool {
        self.0.is_unknown()
    }
}

impl Field for Secret {
    const TRAITS: Traits = Traits {
        write_only: true,
        ..Traits::NONE
    };
    type At = Path;

    fn attribute(name: &str) -> Attribute {
        Attribute::plain(name, Type::String).write_only()
    }

    fn read_field(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        match value {
            value::Value::Null => Ok(Self(Value::Null)),
            value::Value::Unknown => Ok(Self(Value::Unknown)),
            value::Value::String(text) => Ok(Self(Value::Known(Zeroizing::new(text.clone())))),
            other => Err(mismatch("text", other, path)),
        }
    }

    fn write_field(&self) -> value::Value {
        value::Value::Null
    }
}
