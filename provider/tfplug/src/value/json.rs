//! Values as JSON, the form of stored state.
//!
//! Numbers keep the text they are written in: each part of the document is first held as raw text and read when its
//! type is known, so no number passes through a binary fraction.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::value::RawValue;

use super::{CodecError, Dynamic, MAX_DEPTH, Type, Value};
use crate::path::{Path, Step};

/// What to do with attributes that the type does not have, or that the text does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Undefined {
    /// Stored state: drop the one, null the other.
    Ignore,
    /// A value that must be exactly of its type.
    Refuse,
}

/// Reads a value of type `ty`.
pub(super) fn decode(text: &[u8], ty: &Type, undefined: Undefined) -> Result<Value, CodecError> {
    let raw: &RawValue =
        serde_json::from_slice(text).map_err(|_| CodecError::at(&Path::root(), "the text is not JSON"))?;
    Reader {
        path: Path::root(),
        undefined,
    }
    .value(raw, ty)
}

/// Writes a value of type `ty`.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<String, CodecError> {
    let mut writer = Writer {
        out: String::new(),
        path: Path::root(),
    };
    writer.value(value, ty)?;
    Ok(writer.out)
}

/// Writes a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing into a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

struct Reader {
    path: Path,
    undefined: Undefined,
}

impl Reader {
    fn error(&self, reason: &str) -> CodecError {
        CodecError::at(&self.path, reason)
    }

    fn parse<'a, T: serde::Deserialize<'a>>(&self, raw: &'a RawValue, ty: &Type) -> Result<T, CodecError> {
        serde_json::from_str(raw.get()).map_err(|_| self.error(&format!("a value of type {ty} was expected")))
    }

    fn value(&mut self, raw: &RawValue, ty: &Type) -> Result<Value, CodecError> {
        if self.path.steps().len() > MAX_DEPTH {
            return Err(self.error("the value is nested too deeply"));
        }
        if raw.get() == "null" {
            return Ok(Value::Null);
        }
        match ty {
            Type::Bool => Ok(Value::Bool(self.parse(raw, ty)?)),
            Type::String => self.string(raw, ty),
            Type::Number => self.number(raw, ty),
            Type::List(inner) => self.elements(raw, ty, inner).map(Value::List),
            Type::Set(inner) => self.elements(raw, ty, inner).map(Value::Set),
            Type::Tuple(types) => {
                let parts: Vec<&RawValue> = self.parse(raw, ty)?;
                if parts.len() != types.len() {
                    return Err(self.error(&format!("a value of type {ty} was expected")));
                }
                let mut elements = Vec::with_capacity(parts.len());
                for (index, (part, inner)) in parts.into_iter().zip(types).enumerate() {
                    elements.push(self.step(Step::Index(index as u64), part, inner)?);
                }
                Ok(Value::Tuple(elements))
            }
            Type::Map(inner) => {
                let parts: BTreeMap<String, &RawValue> = self.parse(raw, ty)?;
                let mut entries = BTreeMap::new();
                for (key, part) in parts {
                    let element = self.step(Step::Key(key.clone()), part, inner)?;
                    entries.insert(key, element);
                }
                Ok(Value::Map(entries))
            }
            Type::Object(attributes) => {
                let mut parts: BTreeMap<String, &RawValue> = self.parse(raw, ty)?;
                let mut entries = BTreeMap::new();
                for (name, inner) in attributes {
                    let attribute = match parts.remove(name) {
                        Some(part) => self.step(Step::Attribute(name.clone()), part, inner)?,
                        None if self.undefined == Undefined::Ignore => Value::Null,
                        None => return Err(self.error(&format!("the attribute `{name}` is missing"))),
                    };
                    entries.insert(name.clone(), attribute);
                }
                match parts.keys().next() {
                    Some(name) if self.undefined == Undefined::Refuse => {
                        Err(self.error(&format!("the attribute `{name}` is not in the schema")))
                    }
                    _ => Ok(Value::Object(entries)),
                }
            }
            Type::Dynamic => {
                let mut parts: BTreeMap<String, &RawValue> = self.parse(raw, ty)?;
                let (Some(constraint), Some(value)) = (parts.remove("type"), parts.remove("value")) else {
                    return Err(self.error("a dynamic value has no type or no value"));
                };
                let ty = Type::from_json(constraint.get().as_bytes())
                    .map_err(|error| self.error(&error.reason))?;
                let value = self.value(value, &ty)?;
                Ok(Value::Dynamic(Box::new(Dynamic { ty, value })))
            }
        }
    }

    /// Stored text may once have been a number or truth value under an older schema; Terraform converts these.
    fn string(&self, raw: &RawValue, ty: &Type) -> Result<Value, CodecError> {
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            return Ok(Value::String(text));
        }
        let primitive = !raw.get().starts_with(['[', '{']);
        if self.undefined == Undefined::Ignore && primitive {
            return Ok(Value::String(raw.get().to_owned()));
        }
        Err(self.error(&format!("a value of type {ty} was expected")))
    }

    fn number(&self, raw: &RawValue, ty: &Type) -> Result<Value, CodecError> {
        let quoted: Option<String> = serde_json::from_str(raw.get()).ok();
        quoted
            .as_deref()
            .unwrap_or(raw.get())
            .parse()
            .map(Value::Number)
            .map_err(|_| self.error(&format!("a value of type {ty} was expected")))
    }

    fn elements(&mut self, raw: &RawValue, ty: &Type, inner: &Type) -> Result<Vec<Value>, CodecError> {
        let parts: Vec<&RawValue> = self.parse(raw, ty)?;
        let mut elements = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            elements.push(self.step(Step::Index(index as u64), part, inner)?);
        }
        Ok(elements)
    }

    fn step(&mut self, step: Step, raw: &RawValue, ty: &Type) -> Result<Value, CodecError> {
        self.path.push(step);
        let value = self.value(raw, ty)?;
        self.path.pop();
        Ok(value)
    }
}

struct Writer {
    out: String,
    path: Path,
}

impl Writer {
    fn value(&mut self, value: &Value, ty: &Type) -> Result<(), CodecError> {
        if self.path.steps().len() > MAX_DEPTH {
            return Err(CodecError::at(&self.path, "the value is nested too deeply"));
        }
        match (value, ty) {
            (Value::Null, _) => self.out.push_str("null"),
            (Value::Unknown, _) => {
                return Err(CodecError::at(&self.path, "an unknown value has no JSON form"));
            }
            (Value::Bool(value), Type::Bool) => self.out.push_str(if *value { "true" } else { "false" }),
            (Value::Number(number), Type::Number) => self.out.push_str(&number.to_string()),
            (Value::String(text), Type::String) => write_string(text, &mut self.out),
            (Value::List(elements), Type::List(inner)) | (Value::Set(elements), Type::Set(inner)) => {
                let steps = elements.iter().enumerate();
                self.array(steps.map(|(index, element)| (index, element, inner.as_ref())))?;
            }
            (Value::Tuple(elements), Type::Tuple(types)) if elements.len() == types.len() => {
                let steps = elements.iter().zip(types).enumerate();
                self.array(steps.map(|(index, (element, inner))| (index, element, inner)))?;
            }
            (Value::Map(entries), Type::Map(inner)) => {
                let steps = entries.iter();
                self.object(steps.map(|(key, element)| (key, Step::Key(key.clone()), element, &**inner)))?;
            }
            (Value::Object(entries), Type::Object(attributes)) => {
                value
                    .conforms(ty)
                    .map_err(|error| CodecError::at(&self.path, error.reason))?;
                let steps = attributes.iter().filter_map(|(name, inner)| {
                    entries
                        .get(name)
                        .map(|attribute| (name, Step::Attribute(name.clone()), attribute, inner))
                });
                self.object(steps)?;
            }
            (Value::Dynamic(dynamic), Type::Dynamic) => {
                let _ = write!(self.out, "{{\"type\":{},\"value\":", dynamic.ty.to_json());
                self.value(&dynamic.value, &dynamic.ty)?;
                self.out.push('}');
            }
            _ => {
                let reason = format!("a value of type {ty} was expected, not {}", value.kind());
                return Err(CodecError::at(&self.path, reason));
            }
        }
        Ok(())
    }

    fn array<'v>(
        &mut self,
        steps: impl Iterator<Item = (usize, &'v Value, &'v Type)>,
    ) -> Result<(), CodecError> {
        self.out.push('[');
        for (index, element, inner) in steps {
            if index > 0 {
                self.out.push(',');
            }
            self.path.push(Step::Index(index as u64));
            self.value(element, inner)?;
            self.path.pop();
        }
        self.out.push(']');
        Ok(())
    }

    fn object<'v>(
        &mut self,
        steps: impl Iterator<Item = (&'v String, Step, &'v Value, &'v Type)>,
    ) -> Result<(), CodecError> {
        self.out.push('{');
        for (position, (key, step, element, inner)) in steps.enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            write_string(key, &mut self.out);
            self.out.push(':');
            self.path.push(step);
            self.value(element, inner)?;
            self.path.pop();
        }
        self.out.push('}');
        Ok(())
    }
}
