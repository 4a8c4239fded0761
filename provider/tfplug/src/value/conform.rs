//! Whether a value is of a type.

use super::{CodecError, Type, Value};
use crate::path::{Path, Step};

impl Value {
    /// Returns the path and the reason of the first place where the value is not of type `ty`.
    ///
    /// # Errors
    ///
    /// That place, where there is one.
    pub fn conforms(&self, ty: &Type) -> Result<(), CodecError> {
        self.conforms_at(ty, &mut Path::root())
    }

    fn conforms_at(&self, ty: &Type, path: &mut Path) -> Result<(), CodecError> {
        let mismatch = |path: &Path| {
            Err(CodecError::at(
                path,
                format!("a value of type {ty} was expected, not {}", self.kind()),
            ))
        };
        match (self, ty) {
            (Self::Null | Self::Unknown, _)
            | (Self::Bool(_), Type::Bool)
            | (Self::Number(_), Type::Number)
            | (Self::String(_), Type::String) => Ok(()),
            (Self::List(elements), Type::List(inner)) => {
                for (index, element) in elements.iter().enumerate() {
                    path.push(Step::Index(index as u64));
                    element.conforms_at(inner, path)?;
                    path.pop();
                }
                Ok(())
            }
            (Self::Set(elements), Type::Set(inner)) => elements
                .iter()
                .try_for_each(|element| element.conforms_at(inner, path)),
            (Self::Map(entries), Type::Map(inner)) => {
                for (key, element) in entries {
                    path.push(Step::Key(key.clone()));
                    element.conforms_at(inner, path)?;
                    path.pop();
                }
                Ok(())
            }
            (Self::Tuple(elements), Type::Tuple(types)) => {
                if elements.len() != types.len() {
                    return mismatch(path);
                }
                for (index, (element, inner)) in elements.iter().zip(types).enumerate() {
                    path.push(Step::Index(index as u64));
                    element.conforms_at(inner, path)?;
                    path.pop();
                }
                Ok(())
            }
            (Self::Object(entries), Type::Object(attributes)) => {
                if let Some(name) = entries.keys().find(|name| !attributes.contains_key(*name)) {
                    return Err(CodecError::at(
                        path,
                        format!("the attribute `{name}` is not in the schema"),
                    ));
                }
                for (name, inner) in attributes {
                    path.push(Step::Attribute(name.clone()));
                    match entries.get(name) {
                        Some(attribute) => attribute.conforms_at(inner, path)?,
                        None => return Err(CodecError::at(path, "the attribute is missing".to_owned())),
                    }
                    path.pop();
                }
                Ok(())
            }
            (Self::Dynamic(dynamic), Type::Dynamic) => dynamic.value.conforms_at(&dynamic.ty, path),
            _ => mismatch(path),
        }
    }
}
