//! Lists of tables, such as `[[labels.rules]]`, each member with the place where it was written.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};

use super::Place;

/// One table of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What it holds.
    pub(super) members: Map<String, Json>,
    /// Where each member stands, by its path from the table: `category`, `category[1]`, and empty for the table
    /// itself. Nothing, where all of it was written in one place.
    places: BTreeMap<String, Place>,
}

impl Table {
    /// Where a member stands, or else the nearest thing around it.
    pub(super) fn place(&self, path: &str) -> Option<&Place> {
        let around = path.split('[').next().unwrap_or_default();
        [path, around, ""].iter().find_map(|path| self.places.get(*path))
    }
}

/// Reads a list of tables; `None` where it is something else.
pub(super) fn from_toml(value: &DeValue<'_>, place: &impl Fn(usize) -> Place) -> Option<Vec<Table>> {
    let DeValue::Array(items) = value else { return None };
    let tables = items.iter().map(|item| match item.get_ref() {
        DeValue::Table(members) => {
            let mut table = table(members, place);
            table.places.insert(String::new(), place(item.span().start));
            Some(table)
        }
        _ => None,
    });
    tables.collect()
}

fn table(members: &DeTable<'_>, place: &impl Fn(usize) -> Place) -> Table {
    let mut table = Table::default();
    for (name, value) in members {
        let name = name.get_ref().to_string();
        table.places.insert(name.clone(), place(value.span().start));
        if let DeValue::Array(items) = value.get_ref() {
            for (number, item) in items.iter().enumerate() {
                table
                    .places
                    .insert(format!("{name}[{number}]"), place(item.span().start));
            }
        }
        table.members.insert(name, json(value.get_ref()));
    }
    table
}

/// Reads a JSON array of objects, as a variable has it; nothing at all is an empty list.
pub(super) fn from_text(text: &str) -> Option<Vec<Table>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let items: Vec<Map<String, Json>> = serde_json::from_str(text).ok()?;
    let table = |members| Table {
        members,
        places: BTreeMap::new(),
    };
    Some(items.into_iter().map(table).collect())
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Boolean(flag) => Json::Bool(*flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Json::Null, Json::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Datetime(instant) => Json::String(instant.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(members) => {
            let members = members.iter();
            Json::Object(
                members
                    .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())))
                    .collect(),
            )
        }
    }
}
