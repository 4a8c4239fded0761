//! Values to JSON and back.

use serde_json::{Map, Number, Value as Json};
use tfplug::value::{Type, Value};

/// Writes a value as JSON. Null and unknown attributes are left out of objects, since the engine knows absence only.
pub fn from_value(value: &Value) -> Json {
    match value {
        Value::Null | Value::Unknown => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => number
            .as_i64()
            .map(Number::from)
            .or_else(|| number.as_u64().map(Number::from))
            .or_else(|| Number::from_f64(number.to_f64()))
            .map_or(Json::Null, Json::Number),
        Value::String(text) => Json::String(text.clone()),
        Value::List(elements) | Value::Set(elements) | Value::Tuple(elements) => Json::Array(
            elements
                .iter()
                .filter(|element| element.is_known())
                .map(from_value)
                .collect(),
        ),
        Value::Map(entries) | Value::Object(entries) => Json::Object(
            entries
                .iter()
                .filter(|(_, entry)| entry.is_known())
                .map(|(key, entry)| (key.clone(), from_value(entry)))
                .collect::<Map<String, Json>>(),
        ),
        Value::Dynamic(dynamic) => from_value(&dynamic.value),
    }
}

/// Reads JSON as a value of a type: what is absent is null, and what the type does not have is dropped. What does not
/// fit is null, too; the server's checks then name the attribute.
pub fn to_value(json: &Json, ty: &Type) -> Value {
    read(json.to_string().as_bytes(), ty)
}

/// The same of JSON that is still text.
pub fn read(json: &[u8], ty: &Type) -> Value {
    Value::from_stored_json(json, ty).unwrap_or_default()
}
