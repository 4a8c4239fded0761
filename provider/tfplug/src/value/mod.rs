//! Values as Terraform knows them: null, unknown, or known, of any type.
//!
//! A [`Value`] does not carry its static type; the schema does, and the codec takes both. What a value does carry is
//! its kind, so that a mistake is found when it is encoded ([`Value::conforms`]) and named by its path.
//!
//! Equality is Terraform's: numbers by their numeric value, sets as multisets, everything else exactly.

mod codec_error;
mod conform;
mod json;
mod msgpack;
mod number;
mod types;

#[cfg(test)]
mod tests;

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use zeroize::Zeroize;

use crate::path::{Path, Step};

pub use codec_error::CodecError;
pub use number::{Number, ParseNumberError};
pub use types::Type;

pub(crate) use json::write_string as write_json_string;

/// The deepest nesting that the codecs read or write.
pub(crate) const MAX_DEPTH: usize = 64;

/// A null that can be borrowed where an attribute is absent.
static NULL: Value = Value::Null;

/// A value of some type, known or not.
///
/// `Debug` shows kinds and lengths, never text or numbers, since any value may be a secret. Tests that want to see
/// everything use [`Value::reveal`].
#[derive(Clone, Default)]
pub enum Value {
    /// Absent.
    #[default]
    Null,
    /// Not known until apply.
    Unknown,
    /// `true` or `false`.
    Bool(bool),
    /// A number of any size.
    Number(Number),
    /// Unicode text.
    String(String),
    /// Ordered elements of one type.
    List(Vec<Value>),
    /// Elements of one type without order.
    Set(Vec<Value>),
    /// Text keys to elements of one type.
    Map(BTreeMap<String, Value>),
    /// Attributes by name, each of its own type.
    Object(BTreeMap<String, Value>),
    /// Positions, each of its own type.
    Tuple(Vec<Value>),
    /// A value that brings its type along, where the schema says `dynamic`.
    Dynamic(Box<Dynamic>),
}

/// A value together with its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dynamic {
    /// The type the value has.
    pub ty: Type,
    /// The value.
    pub value: Value,
}

impl Value {
    /// Returns an object with the given attributes.
    pub fn object<K: Into<String>>(attributes: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Object(
            attributes
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// Returns a map with the given elements.
    pub fn map<K: Into<String>>(elements: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(
            elements
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// Returns a list with the given elements.
    pub fn list<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// Returns a set with the given elements, without repetitions.
    pub fn set<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        let mut elements: Vec<Value> = elements.into_iter().map(Into::into).collect();
        elements.sort();
        elements.dedup();
        Self::Set(elements)
    }

    /// Returns whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns whether the value itself is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Returns whether the value is neither null nor unknown. Its elements may still be.
    pub fn is_known(&self) -> bool {
        !self.is_null() && !self.is_unknown()
    }

    /// Returns whether nothing in the value is unknown.
    pub fn is_wholly_known(&self) -> bool {
        self.first_unknown().is_none()
    }

    /// Returns the path of the first unknown in the value, if there is one.
    pub fn first_unknown(&self) -> Option<Path> {
        let mut found = None;
        self.walk(&mut Path::root(), &mut |path, value| {
            if found.is_none() && value.is_unknown() {
                found = Some(path.clone());
            }
            found.is_none()
        });
        found
    }

    /// Visits the value and everything in it, outermost first. Returning false from `visit` skips what is inside.
    pub fn walk(&self, path: &mut Path, visit: &mut dyn FnMut(&Path, &Value) -> bool) {
        if !visit(path, self) {
            return;
        }
        match self {
            Self::List(elements) | Self::Tuple(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    path.push(Step::Index(index as u64));
                    element.walk(path, visit);
                    path.pop();
                }
            }
            Self::Set(elements) => {
                for element in elements {
                    path.push(Step::Element(Box::new(element.clone())));
                    element.walk(path, visit);
                    path.pop();
                }
            }
            Self::Map(elements) => {
                for (key, element) in elements {
                    path.push(Step::Key(key.clone()));
                    element.walk(path, visit);
                    path.pop();
                }
            }
            Self::Object(attributes) => {
                for (name, attribute) in attributes {
                    path.push(Step::Attribute(name.clone()));
                    attribute.walk(path, visit);
                    path.pop();
                }
            }
            Self::Dynamic(dynamic) => dynamic.value.walk(path, visit),
            Self::Null | Self::Unknown | Self::Bool(_) | Self::Number(_) | Self::String(_) => {}
        }
    }

    /// Returns the attribute of an object or the element of a map; null where there is none.
    pub fn get(&self, name: &str) -> &Value {
        match self {
            Self::Object(entries) | Self::Map(entries) => entries.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// Returns what stands at `path`, or nothing where the path leads nowhere.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        let mut here = self;
        for step in path.steps() {
            if let Self::Dynamic(dynamic) = here {
                here = &dynamic.value;
            }
            here = match (here, step) {
                (Self::Object(entries), Step::Attribute(name)) => entries.get(name)?,
                (Self::Map(entries), Step::Key(key)) => entries.get(key)?,
                (Self::List(elements) | Self::Tuple(elements), Step::Index(index)) => {
                    elements.get(usize::try_from(*index).ok()?)?
                }
                (Self::Set(elements), Step::Element(wanted)) => {
                    elements.iter().find(|element| *element == wanted.as_ref())?
                }
                _ => return None,
            };
        }
        Some(here)
    }

    /// Sets an attribute of an object or an element of a map. Other kinds are left as they are.
    pub fn set_attribute(&mut self, name: &str, value: impl Into<Value>) {
        if let Self::Object(entries) | Self::Map(entries) = self {
            entries.insert(name.to_owned(), value.into());
        }
    }

    /// Returns the text of a known string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Returns a known truth value.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// Returns a known number.
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self {
            Some(number)
        } else {
            None
        }
    }

    /// Returns a known number as an integer, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// Returns the elements of a known list, set or tuple.
    pub fn elements(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) | Self::Set(elements) | Self::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// Returns the attributes of a known object or the elements of a known map.
    pub fn entries(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Object(entries) | Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Reads a value of type `ty` from msgpack.
    ///
    /// # Errors
    ///
    /// Where the bytes are not msgpack or not a value of that type.
    pub fn from_msgpack(bytes: &[u8], ty: &Type) -> Result<Self, CodecError> {
        msgpack::decode(bytes, ty)
    }

    /// Writes the value as msgpack.
    ///
    /// # Errors
    ///
    /// Where the value is not of type `ty`.
    pub fn to_msgpack(&self, ty: &Type) -> Result<Vec<u8>, CodecError> {
        msgpack::encode(self, ty)
    }

    /// Reads a value of type `ty` from JSON. Attributes that the type does not have are an error.
    ///
    /// # Errors
    ///
    /// Where the text is not JSON or not a value of that type.
    pub fn from_json(text: &[u8], ty: &Type) -> Result<Self, CodecError> {
        json::decode(text, ty, json::Undefined::Refuse)
    }

    /// Reads a value of type `ty` from stored JSON: attributes that the type does not have are dropped, and attributes
    /// that the text does not have are null.
    ///
    /// # Errors
    ///
    /// Where the text is not JSON or not a value of that type.
    pub fn from_stored_json(text: &[u8], ty: &Type) -> Result<Self, CodecError> {
        json::decode(text, ty, json::Undefined::Ignore)
    }

    /// Writes the value as JSON.
    ///
    /// # Errors
    ///
    /// Where the value is not of type `ty`, or has unknowns, which JSON cannot say.
    pub fn to_json(&self, ty: &Type) -> Result<String, CodecError> {
        json::encode(self, ty)
    }

    /// Overwrites all text in the value, which may be secret, with zeros.
    pub fn wipe(&mut self) {
        match self {
            Self::String(text) => text.zeroize(),
            Self::List(elements) | Self::Set(elements) | Self::Tuple(elements) => {
                elements.iter_mut().for_each(Self::wipe);
            }
            Self::Map(entries) | Self::Object(entries) => entries.values_mut().for_each(Self::wipe),
            Self::Dynamic(dynamic) => dynamic.value.wipe(),
            Self::Null | Self::Unknown | Self::Bool(_) | Self::Number(_) => {}
        }
    }

    /// Returns the word for the value's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown => "unknown",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Map(_) => "map",
            Self::Object(_) => "object",
            Self::Tuple(_) => "tuple",
            Self::Dynamic(_) => "dynamic",
        }
    }

    /// Returns the whole value as readable text, secrets included: for tests and documentation only.
    pub fn reveal(&self) -> String {
        fn join(elements: &[Value]) -> String {
            elements.iter().map(Value::reveal).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Null => "null".to_owned(),
            Self::Unknown => "(unknown)".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(text) => format!("{text:?}"),
            Self::List(elements) => format!("[{}]", join(elements)),
            Self::Set(elements) => {
                let mut sorted = elements.clone();
                sorted.sort();
                format!("set[{}]", join(&sorted))
            }
            Self::Tuple(elements) => format!("({})", join(elements)),
            Self::Map(entries) | Self::Object(entries) => {
                let inner: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{key} = {}", value.reveal()))
                    .collect();
                format!("{{{}}}", inner.join(", "))
            }
            Self::Dynamic(dynamic) => format!("{} as {}", dynamic.value.reveal(), dynamic.ty),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Unknown => 1,
            Self::Bool(_) => 2,
            Self::Number(_) => 3,
            Self::String(_) => 4,
            Self::List(_) => 5,
            Self::Set(_) => 6,
            Self::Map(_) => 7,
            Self::Object(_) => 8,
            Self::Tuple(_) => 9,
            Self::Dynamic(_) => 10,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An order without meaning of its own, for sorting sets and for sets in maps.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => a.cmp(b),
            (Self::Set(a), Self::Set(b)) => {
                let mut a: Vec<&Value> = a.iter().collect();
                let mut b: Vec<&Value> = b.iter().collect();
                a.sort();
                b.sort();
                a.cmp(&b)
            }
            (Self::Map(a), Self::Map(b)) | (Self::Object(a), Self::Object(b)) => a.cmp(b),
            (Self::Dynamic(a), Self::Dynamic(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "string({} bytes)", text.len()),
            Self::List(elements) | Self::Set(elements) | Self::Tuple(elements) => {
                write!(f, "{} ", self.kind())?;
                f.debug_list().entries(elements).finish()
            }
            Self::Map(entries) | Self::Object(entries) => {
                write!(f, "{} ", self.kind())?;
                f.debug_map().entries(entries).finish()
            }
            Self::Dynamic(dynamic) => write!(f, "dynamic({}, {:?})", dynamic.ty, dynamic.value),
            _ => f.write_str(self.kind()),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Number::from(number))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(Number::from(number))
    }
}

/// Nothing is null.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
