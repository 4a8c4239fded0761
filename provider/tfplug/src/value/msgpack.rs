//! Values as msgpack, the form that Terraform sends and expects.
//!
//! Reading is driven by the type, so nothing is guessed. Memory is bounded by the input: a length that the remaining
//! bytes cannot hold is refused before anything is allocated, and nesting is bounded.

use std::collections::BTreeMap;

use super::{CodecError, Dynamic, MAX_DEPTH, Number, Type, Value};
use crate::path::{Path, Step};

/// Reads one value of type `ty`, and nothing after it.
pub(super) fn decode(bytes: &[u8], ty: &Type) -> Result<Value, CodecError> {
    let mut reader = Reader {
        bytes,
        path: Path::root(),
        depth: 0,
    };
    let value = reader.value(ty)?;
    if reader.bytes.is_empty() {
        Ok(value)
    } else {
        Err(reader.error("there are bytes after the value"))
    }
}

/// Writes a value of type `ty`.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, CodecError> {
    let mut writer = Writer {
        out: Vec::new(),
        path: Path::root(),
    };
    writer.value(value, ty)?;
    Ok(writer.out)
}

struct Reader<'a> {
    bytes: &'a [u8],
    path: Path,
    depth: usize,
}

/// What a marker byte announces.
enum Token<'a> {
    Nil,
    Bool(bool),
    Number(Number),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    /// An extension; its payload is already skipped. Every extension means unknown.
    Extension,
}

impl<'a> Reader<'a> {
    fn error(&self, reason: &str) -> CodecError {
        CodecError::at(&self.path, reason)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(self.error("the value ends early")),
        }
    }

    /// Reads a big-endian unsigned integer of `width` bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, CodecError> {
        Ok(self
            .take(width)?
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// Reads a count of things that each take at least `each` bytes, and refuses what cannot be there.
    fn count(&mut self, width: usize, each: usize) -> Result<usize, CodecError> {
        let count = self.unsigned(width)?;
        self.possible(usize::try_from(count).unwrap_or(usize::MAX), each)
    }

    fn possible(&self, count: usize, each: usize) -> Result<usize, CodecError> {
        if count.saturating_mul(each) > self.bytes.len() {
            return Err(self.error("the value ends early"));
        }
        Ok(count)
    }

    fn signed(&mut self, width: usize) -> Result<Number, CodecError> {
        let shift = 64 - 8 * u32::try_from(width).unwrap_or(8);
        let unsigned = self.unsigned(width)?;
        Ok(Number::from((unsigned << shift).cast_signed() >> shift))
    }

    fn float(&self, value: f64) -> Result<Token<'a>, CodecError> {
        Number::try_from(value)
            .map(Token::Number)
            .map_err(|_| self.error("the number is not finite"))
    }

    fn extension(&mut self, length: usize) -> Result<Token<'a>, CodecError> {
        self.take(1)?;
        self.take(length)?;
        Ok(Token::Extension)
    }

    fn token(&mut self) -> Result<Token<'a>, CodecError> {
        let marker = self.take(1)?[0];
        Ok(match marker {
            0x00..=0x7f => Token::Number(Number::from(u64::from(marker))),
            0x80..=0x8f => Token::Map(self.possible(usize::from(marker & 0x0f), 2)?),
            0x90..=0x9f => Token::Array(self.possible(usize::from(marker & 0x0f), 1)?),
            0xa0..=0xbf => Token::Bytes(self.take(usize::from(marker & 0x1f))?),
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 | 0xd9 => {
                let length = self.count(1, 1)?;
                Token::Bytes(self.take(length)?)
            }
            0xc5 | 0xda => {
                let length = self.count(2, 1)?;
                Token::Bytes(self.take(length)?)
            }
            0xc6 | 0xdb => {
                let length = self.count(4, 1)?;
                Token::Bytes(self.take(length)?)
            }
            0xc7 => {
                let length = self.count(1, 1)?;
                self.extension(length)?
            }
            0xc8 => {
                let length = self.count(2, 1)?;
                self.extension(length)?
            }
            0xc9 => {
                let length = self.count(4, 1)?;
                self.extension(length)?
            }
            0xca => {
                let bits = u32::try_from(self.unsigned(4)?).unwrap_or(u32::MAX);
                self.float(f64::from(f32::from_bits(bits)))?
            }
            0xcb => {
                let bits = self.unsigned(8)?;
                self.float(f64::from_bits(bits))?
            }
            0xcc => Token::Number(Number::from(self.unsigned(1)?)),
            0xcd => Token::Number(Number::from(self.unsigned(2)?)),
            0xce => Token::Number(Number::from(self.unsigned(4)?)),
            0xcf => Token::Number(Number::from(self.unsigned(8)?)),
            0xd0 => Token::Number(self.signed(1)?),
            0xd1 => Token::Number(self.signed(2)?),
            0xd2 => Token::Number(self.signed(4)?),
            0xd3 => Token::Number(self.signed(8)?),
            0xd4 => self.extension(1)?,
            0xd5 => self.extension(2)?,
            0xd6 => self.extension(4)?,
            0xd7 => self.extension(8)?,
            0xd8 => self.extension(16)?,
            0xdc => Token::Array(self.count(2, 1)?),
            0xdd => Token::Array(self.count(4, 1)?),
            0xde => Token::Map(self.count(2, 2)?),
            0xdf => Token::Map(self.count(4, 2)?),
            0xe0..=0xff => Token::Number(Number::from(i64::from(marker.cast_signed()))),
            _ => return Err(self.error("the value is not msgpack")),
        })
    }

    fn value(&mut self, ty: &Type) -> Result<Value, CodecError> {
        if self.depth > MAX_DEPTH {
            return Err(self.error("the value is nested too deeply"));
        }
        self.depth += 1;
        let token = self.token()?;
        let value = self.value_of(token, ty);
        self.depth -= 1;
        value
    }

    fn value_of(&mut self, token: Token<'a>, ty: &Type) -> Result<Value, CodecError> {
        match (token, ty) {
            (Token::Nil, _) => Ok(Value::Null),
            (Token::Extension, _) => Ok(Value::Unknown),
            (Token::Bool(value), Type::Bool) => Ok(Value::Bool(value)),
            (Token::Number(number), Type::Number) => Ok(Value::Number(number)),
            // What neither an integer nor a binary fraction can say exactly comes as decimal text.
            (Token::Bytes(bytes), Type::Number) => self
                .text(bytes)?
                .parse()
                .map(Value::Number)
                .map_err(|_| self.error("the text is not a decimal number")),
            (Token::Bytes(bytes), Type::String) => Ok(Value::String(self.text(bytes)?.to_owned())),
            (Token::Array(count), Type::List(inner)) => self.elements(count, inner).map(Value::List),
            (Token::Array(count), Type::Set(inner)) => self.elements(count, inner).map(Value::Set),
            (Token::Array(count), Type::Tuple(types)) if count == types.len() => {
                let mut elements = Vec::with_capacity(count);
                for (index, inner) in types.iter().enumerate() {
                    self.path.push(Step::Index(index as u64));
                    elements.push(self.value(inner)?);
                    self.path.pop();
                }
                Ok(Value::Tuple(elements))
            }
            (Token::Map(count), Type::Map(inner)) => {
                let mut entries = BTreeMap::new();
                for _ in 0..count {
                    let key = self.key()?;
                    self.path.push(Step::Key(key.to_owned()));
                    let element = self.value(inner)?;
                    self.path.pop();
                    if entries.insert(key.to_owned(), element).is_some() {
                        return Err(self.error("a key stands twice"));
                    }
                }
                Ok(Value::Map(entries))
            }
            (Token::Map(count), Type::Object(attributes)) => {
                let mut entries = BTreeMap::new();
                for _ in 0..count {
                    let name = self.key()?;
                    let Some(inner) = attributes.get(name) else {
                        return Err(self.error("an attribute is not in the schema"));
                    };
                    self.path.push(Step::Attribute(name.to_owned()));
                    let attribute = self.value(inner)?;
                    self.path.pop();
                    if entries.insert(name.to_owned(), attribute).is_some() {
                        return Err(self.error("an attribute stands twice"));
                    }
                }
                if entries.len() == attributes.len() {
                    Ok(Value::Object(entries))
                } else {
                    Err(self.error("an attribute is missing"))
                }
            }
            (Token::Array(2), Type::Dynamic) => {
                let Token::Bytes(constraint) = self.token()? else {
                    return Err(self.error("a dynamic value does not begin with its type"));
                };
                let ty = Type::from_json(constraint).map_err(|error| self.error(&error.reason))?;
                let value = self.value(&ty)?;
                Ok(Value::Dynamic(Box::new(Dynamic { ty, value })))
            }
            _ => Err(self.error(&format!("a value of type {ty} was expected"))),
        }
    }

    fn elements(&mut self, count: usize, inner: &Type) -> Result<Vec<Value>, CodecError> {
        let mut elements = Vec::new();
        for index in 0..count {
            self.path.push(Step::Index(index as u64));
            elements.push(self.value(inner)?);
            self.path.pop();
        }
        Ok(elements)
    }

    fn key(&mut self) -> Result<&'a str, CodecError> {
        match self.token()? {
            Token::Bytes(bytes) => self.text(bytes),
            _ => Err(self.error("a key is not text")),
        }
    }

    fn text(&self, bytes: &'a [u8]) -> Result<&'a str, CodecError> {
        std::str::from_utf8(bytes).map_err(|_| self.error("the text is not UTF-8"))
    }
}

struct Writer {
    out: Vec<u8>,
    path: Path,
}

impl Writer {
    fn value(&mut self, value: &Value, ty: &Type) -> Result<(), CodecError> {
        if self.path.steps().len() > MAX_DEPTH {
            return Err(CodecError::at(&self.path, "the value is nested too deeply"));
        }
        match (value, ty) {
            (Value::Null, _) => self.out.push(0xc0),
            // The plain unknown. Refinements are promises that apply would have to keep, so none are made.
            (Value::Unknown, _) => self.out.extend([0xd4, 0x00, 0x00]),
            (Value::Bool(value), Type::Bool) => self.out.push(if *value { 0xc3 } else { 0xc2 }),
            // Always as decimal text, which core reads with the precision that it reads stored state with. An integer
            // would be read with less, and `plan -refresh-only -detailed-exitcode` would then take the two for
            // different and exit with 2 although nothing has changed.
            (Value::Number(number), Type::Number) => self.text(&number.to_string()),
            (Value::String(text), Type::String) => self.text(text),
            (Value::List(elements), Type::List(inner)) | (Value::Set(elements), Type::Set(inner)) => {
                self.header(elements.len(), 0x90, 0xdc);
                for (index, element) in elements.iter().enumerate() {
                    self.step(Step::Index(index as u64), element, inner)?;
                }
            }
            (Value::Tuple(elements), Type::Tuple(types)) if elements.len() == types.len() => {
                self.header(elements.len(), 0x90, 0xdc);
                for (index, (element, inner)) in elements.iter().zip(types).enumerate() {
                    self.step(Step::Index(index as u64), element, inner)?;
                }
            }
            (Value::Map(entries), Type::Map(inner)) => {
                self.header(entries.len(), 0x80, 0xde);
                for (key, element) in entries {
                    self.text(key);
                    self.step(Step::Key(key.clone()), element, inner)?;
                }
            }
            (Value::Object(entries), Type::Object(attributes)) => {
                if let Some(name) = entries.keys().find(|name| !attributes.contains_key(*name)) {
                    let reason = format!("the attribute `{name}` is not in the schema");
                    return Err(CodecError::at(&self.path, reason));
                }
                self.header(attributes.len(), 0x80, 0xde);
                for (name, inner) in attributes {
                    let Some(attribute) = entries.get(name) else {
                        return Err(CodecError::at(
                            &self.path,
                            format!("the attribute `{name}` is missing"),
                        ));
                    };
                    self.text(name);
                    self.step(Step::Attribute(name.clone()), attribute, inner)?;
                }
            }
            (Value::Dynamic(dynamic), Type::Dynamic) => {
                self.out.push(0x92);
                self.binary(dynamic.ty.to_json().as_bytes());
                self.value(&dynamic.value, &dynamic.ty)?;
            }
            _ => {
                let reason = format!("a value of type {ty} was expected, not {}", value.kind());
                return Err(CodecError::at(&self.path, reason));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step, value: &Value, ty: &Type) -> Result<(), CodecError> {
        self.path.push(step);
        self.value(value, ty)?;
        self.path.pop();
        Ok(())
    }

    /// Writes the header of an array or map: in the marker below 16, else with two or four bytes of length.
    fn header(&mut self, count: usize, fixed: u8, wide: u8) {
        match (u8::try_from(count), u16::try_from(count)) {
            (Ok(small), _) if small < 16 => self.out.push(fixed | small),
            (_, Ok(short)) => {
                self.out.push(wide);
                self.out.extend(short.to_be_bytes());
            }
            _ => {
                self.out.push(wide + 1);
                self.out.extend(length(count));
            }
        }
    }

    fn text(&mut self, text: &str) {
        let count = text.len();
        match (u8::try_from(count), u16::try_from(count)) {
            (Ok(small), _) if small < 32 => self.out.push(0xa0 | small),
            (Ok(small), _) => self.out.extend([0xd9, small]),
            (_, Ok(short)) => {
                self.out.push(0xda);
                self.out.extend(short.to_be_bytes());
            }
            _ => {
                self.out.push(0xdb);
                self.out.extend(length(count));
            }
        }
        self.out.extend(text.as_bytes());
    }

    fn binary(&mut self, bytes: &[u8]) {
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(small), _) => self.out.extend([0xc4, small]),
            (_, Ok(short)) => {
                self.out.push(0xc5);
                self.out.extend(short.to_be_bytes());
            }
            _ => {
                self.out.push(0xc6);
                self.out.extend(length(bytes.len()));
            }
        }
        self.out.extend(bytes);
    }
}

/// A length in four bytes. What is longer exceeds every message limit, so the cut is never sent.
fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}
