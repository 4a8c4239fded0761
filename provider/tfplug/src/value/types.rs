//! Types of values, and the compact JSON in which the protocol writes them.

use std::{collections::BTreeMap, fmt};

use serde_json::value::RawValue;

use super::{CodecError, MAX_DEPTH};
use crate::path::Path;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A number of any size.
    Number,
    /// Unicode text.
    String,
    /// Any type; the value says which.
    Dynamic,
    /// Ordered elements of one type.
    List(Box<Type>),
    /// Elements of one type without order.
    Set(Box<Type>),
    /// Text keys to elements of one type.
    Map(Box<Type>),
    /// Attributes by name.
    Object(BTreeMap<String, Type>),
    /// Types by position.
    Tuple(Vec<Type>),
}

impl Type {
    /// Returns the type of lists of `element`.
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// Returns the type of sets of `element`.
    pub fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// Returns the type of maps to `element`.
    pub fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// Returns the type of objects with the given attributes.
    pub fn object<K: Into<String>>(attributes: impl IntoIterator<Item = (K, Type)>) -> Self {
        Self::Object(
            attributes
                .into_iter()
                .map(|(name, ty)| (name.into(), ty))
                .collect(),
        )
    }

    /// Returns whether a value of this type can hold a value of type `dynamic`.
    pub fn has_dynamic(&self) -> bool {
        match self {
            Self::Dynamic => true,
            Self::Bool | Self::Number | Self::String => false,
            Self::List(inner) | Self::Set(inner) | Self::Map(inner) => inner.has_dynamic(),
            Self::Object(attributes) => attributes.values().any(Type::has_dynamic),
            Self::Tuple(types) => types.iter().any(Type::has_dynamic),
        }
    }

    /// Writes the type as a JSON type constraint, such as `["list","string"]`.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Bool => out.push_str("\"bool\""),
            Self::Number => out.push_str("\"number\""),
            Self::String => out.push_str("\"string\""),
            Self::Dynamic => out.push_str("\"dynamic\""),
            Self::List(inner) => write_pair(out, "list", inner),
            Self::Set(inner) => write_pair(out, "set", inner),
            Self::Map(inner) => write_pair(out, "map", inner),
            Self::Object(attributes) => {
                out.push_str("[\"object\",{");
                for (position, (name, ty)) in attributes.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    super::json::write_string(name, out);
                    out.push(':');
                    ty.write_json(out);
                }
                out.push_str("}]");
            }
            Self::Tuple(types) => {
                out.push_str("[\"tuple\",[");
                for (position, ty) in types.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    ty.write_json(out);
                }
                out.push_str("]]");
            }
        }
    }

    /// Reads a JSON type constraint.
    ///
    /// # Errors
    ///
    /// Where the text is not one.
    pub fn from_json(text: &[u8]) -> Result<Self, CodecError> {
        let raw: &RawValue =
            serde_json::from_slice(text).map_err(|_| malformed("a type constraint is not JSON"))?;
        parse(raw, 0)
    }
}

fn write_pair(out: &mut String, word: &str, inner: &Type) {
    out.push_str("[\"");
    out.push_str(word);
    out.push_str("\",");
    inner.write_json(out);
    out.push(']');
}

fn malformed(reason: &str) -> CodecError {
    CodecError::at(&Path::root(), reason)
}

fn parse(raw: &RawValue, depth: usize) -> Result<Type, CodecError> {
    if depth > MAX_DEPTH {
        return Err(malformed("a type constraint is nested too deeply"));
    }
    if let Ok(word) = serde_json::from_str::<String>(raw.get()) {
        return match word.as_str() {
            "bool" => Ok(Type::Bool),
            "number" => Ok(Type::Number),
            "string" => Ok(Type::String),
            "dynamic" => Ok(Type::Dynamic),
            _ => Err(malformed("a type constraint names no type")),
        };
    }
    let parts: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| malformed("a type constraint is no list"))?;
    // The third part of an object names optional attributes, which only module variables have.
    let ([head, inner] | [head, inner, _]) = parts.as_slice() else {
        return Err(malformed("a type constraint has too few parts"));
    };
    let word: String =
        serde_json::from_str(head.get()).map_err(|_| malformed("a type constraint names no type"))?;
    match word.as_str() {
        "list" => Ok(Type::list(parse(inner, depth + 1)?)),
        "set" => Ok(Type::set(parse(inner, depth + 1)?)),
        "map" => Ok(Type::map(parse(inner, depth + 1)?)),
        "object" => {
            let attributes: BTreeMap<String, &RawValue> = serde_json::from_str(inner.get())
                .map_err(|_| malformed("an object type has no attributes"))?;
            attributes
                .into_iter()
                .map(|(name, raw)| Ok((name, parse(raw, depth + 1)?)))
                .collect::<Result<_, _>>()
                .map(Type::Object)
        }
        "tuple" => {
            let types: Vec<&RawValue> =
                serde_json::from_str(inner.get()).map_err(|_| malformed("a tuple type has no positions"))?;
            types
                .into_iter()
                .map(|raw| parse(raw, depth + 1))
                .collect::<Result<_, _>>()
                .map(Type::Tuple)
        }
        _ => Err(malformed("a type constraint names no type")),
    }
}

/// The notation of Terraform's own language.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::Dynamic => f.write_str("dynamic"),
            Self::List(inner) => write!(f, "list({inner})"),
            Self::Set(inner) => write!(f, "set({inner})"),
            Self::Map(inner) => write!(f, "map({inner})"),
            Self::Object(attributes) => {
                f.write_str("object({")?;
                for (position, (name, ty)) in attributes.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name} = {ty}")?;
                }
                f.write_str("})")
            }
            Self::Tuple(types) => {
                f.write_str("tuple([")?;
                for (position, ty) in types.iter().enumerate() {
                    if position > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{ty}")?;
                }
                f.write_str("])")
            }
        }
    }
}
