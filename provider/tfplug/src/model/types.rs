//! The Rust types that stand for Terraform's.

use std::collections::BTreeMap;

use super::{Field, ListAt, MapAt, SetAt, Traits, Typed, Value, mismatch};
use crate::{
    path::{Path, Step},
    schema::{Kind, Nesting},
    value::{self, CodecError, Number, Type},
};

/// Implements [`Typed`] for a type without parts.
macro_rules! plain {
    ($($rust:ty, $ty:expr, $wanted:expr, $read:expr, $write:expr;)*) => {$(
        impl Typed for $rust {
            const TRAITS: Traits = Traits::NONE;
            type At = Path;

            fn kind() -> Kind {
                Kind::Plain($ty)
            }

            fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
                let read: fn(&value::Value) -> Option<Self> = $read;
                read(value).ok_or_else(|| mismatch($wanted, value, path))
            }

            fn write_value(&self) -> value::Value {
                let write: fn(&Self) -> value::Value = $write;
                write(self)
            }
        }
    )*};
}

plain! {
    bool, Type::Bool, "a bool", value::Value::as_bool, |value| (*value).into();
    String, Type::String, "text", |value| value.as_str().map(str::to_owned), |text| text.as_str().into();
    Number, Type::Number, "a number", |value| value.as_number().cloned(), |number| number.clone().into();
}

/// Implements [`Typed`] for whole numbers, each with its bounds.
macro_rules! whole {
    ($($rust:ident)*) => {$(
        impl Typed for $rust {
            const TRAITS: Traits = Traits::NONE;
            type At = Path;

            fn kind() -> Kind {
                Kind::Plain(Type::Number)
            }

            fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
                let number = value
                    .as_number()
                    .ok_or_else(|| mismatch("a number", value, path))?;
                let fits = |number: &Number| {
                    let signed = number.as_i64().and_then(|number| $rust::try_from(number).ok());
                    signed.or_else(|| number.as_u64().and_then(|number| $rust::try_from(number).ok()))
                };
                fits(number).ok_or_else(|| {
                    CodecError::at(
                        path,
                        format!("a whole number from {} to {} was expected", $rust::MIN, $rust::MAX),
                    )
                })
            }

            fn write_value(&self) -> value::Value {
                match u64::try_from(*self) {
                    Ok(number) => Number::from(number).into(),
                    // Only negative numbers are no `u64`, and all of them are an `i64`.
                    Err(_) => Number::from(i64::try_from(*self).unwrap_or(i64::MIN)).into(),
                }
            }
        }
    )*};
}

whole! { i16 i32 i64 u8 u16 u32 u64 }

/// A value that brings its type along.
impl Typed for value::Dynamic {
    const TRAITS: Traits = Traits {
        dynamic: true,
        ..Traits::NONE
    };
    type At = Path;

    fn kind() -> Kind {
        Kind::Plain(Type::Dynamic)
    }

    fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        match value {
            value::Value::Dynamic(dynamic) => Ok(dynamic.as_ref().clone()),
            other => Err(mismatch("a dynamic value", other, path)),
        }
    }

    fn write_value(&self) -> value::Value {
        value::Value::Dynamic(Box::new(self.clone()))
    }
}

/// Returns the kind of a collection of `T`: nested where `T` is an object with attributes.
fn repeated<T: Typed>(nesting: Nesting, of: fn(Type) -> Type) -> Kind {
    match T::kind() {
        Kind::Nested(Nesting::Single, attributes) => Kind::Nested(nesting, attributes),
        plain => Kind::Plain(of(plain.ty())),
    }
}

fn read_elements<T: Typed>(
    elements: &[value::Value],
    path: &mut Path,
    step: fn(usize, &value::Value) -> Step,
) -> Result<Vec<Value<T>>, CodecError> {
    let mut read = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        path.push(step(index, element));
        read.push(Value::read_field(element, path)?);
        path.pop();
    }
    Ok(read)
}

/// A list.
impl<T: Typed> Typed for Vec<Value<T>> {
    const TRAITS: Traits = T::TRAITS.elements();
    type At = ListAt<T::At>;

    fn kind() -> Kind {
        repeated::<T>(Nesting::List, Type::list)
    }

    fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        match value {
            value::Value::List(elements) => {
                read_elements(elements, path, |index, _| Step::Index(index as u64))
            }
            other => Err(mismatch("a list", other, path)),
        }
    }

    fn write_value(&self) -> value::Value {
        value::Value::List(self.iter().map(Field::write_field).collect())
    }
}

/// A set: elements without order. A repetition is dropped when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set<T>(pub Vec<Value<T>>);

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Set<T> {
    /// Returns the known elements.
    pub fn known(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(Value::known)
    }
}

impl<T> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().map(Value::Known).collect())
    }
}

impl<T: Typed> Typed for Set<T> {
    const TRAITS: Traits = T::TRAITS.set_elements();
    type At = SetAt<T::At>;

    fn kind() -> Kind {
        repeated::<T>(Nesting::Set, Type::set)
    }

    fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        match value {
            value::Value::Set(elements) => read_elements(elements, path, |_, element| {
                Step::Element(Box::new(element.clone()))
            })
            .map(Self),
            other => Err(mismatch("a set", other, path)),
        }
    }

    fn write_value(&self) -> value::Value {
        // Two elements that are not known yet may well become different ones.
        let mut elements: Vec<value::Value> = self.0.iter().map(Field::write_field).collect();
        elements.sort();
        elements.dedup_by(|a, b| a == b && a.is_wholly_known());
        value::Value::Set(elements)
    }
}

/// A map.
impl<T: Typed> Typed for BTreeMap<String, Value<T>> {
    const TRAITS: Traits = T::TRAITS.elements();
    type At = MapAt<T::At>;

    fn kind() -> Kind {
        repeated::<T>(Nesting::Map, Type::map)
    }

    fn read_at(value: &value::Value, path: &mut Path) -> Result<Self, CodecError> {
        let value::Value::Map(entries) = value else {
            return Err(mismatch("a map", value, path));
        };
        let mut read = Self::new();
        for (key, element) in entries {
            path.push(Step::Key(key.clone()));
            read.insert(key.clone(), Value::read_field(element, path)?);
            path.pop();
        }
        Ok(read)
    }

    fn write_value(&self) -> value::Value {
        value::Value::Map(
            self.iter()
                .map(|(key, element)| (key.clone(), element.write_field()))
                .collect(),
        )
    }
}
