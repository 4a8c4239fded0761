//! What was written: the file and the environment, key by key, each with the place where it stands.

use std::{collections::BTreeMap, ffi::OsString, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Problem,
    keys::{ENV_PREFIX, Form, KEYS, Key},
    tables::{self, Table},
};

/// What was written, before anybody asks what it means.
#[derive(Debug, Default)]
pub struct RawConfig {
    written: BTreeMap<&'static str, Written>,
}

/// One key as it was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value in the form of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    Tables(Vec<Table>),
}

/// Where a key was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file.
    File {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

impl RawConfig {
    /// Takes the keys of a TOML text; what is wrong with it is added to `problems`.
    pub(super) fn add_file(&mut self, name: &str, text: &str, problems: &mut Vec<Problem>) {
        let place = |at: usize| {
            let line = text
                .as_bytes()
                .iter()
                .take(at)
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            Place::File {
                name: name.to_owned(),
                line,
            }
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let place = place(error.span().map_or(0, |span| span.start));
            problems.push(Problem {
                place,
                path: String::new(),
                message: error.message().to_owned(),
            });
        }
        self.add_table("", table.get_ref(), &place, problems);
    }

    fn add_table(
        &mut self,
        prefix: &str,
        table: &DeTable<'_>,
        place: &impl Fn(usize) -> Place,
        problems: &mut Vec<Problem>,
    ) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let place_of_key = place(name.span().start);
            let mut problem = |message: String| {
                problems.push(Problem {
                    place: place_of_key.clone(),
                    path: path.clone(),
                    message,
                });
            };
            if let Some(key) = Key::find(&path) {
                match from_toml(key.form, value, place) {
                    Some(value) => {
                        self.written.insert(
                            key.path,
                            Written {
                                value,
                                place: place_of_key,
                            },
                        );
                    }
                    None => problem(format!(
                        "must be {}, not {}",
                        key.form.noun(),
                        kind_of(key.form, value.get_ref())
                    )),
                }
            } else if Key::is_section(&path) {
                match value.get_ref() {
                    DeValue::Table(table) => self.add_table(&path, table, place, problems),
                    _ => problem("is a section that holds keys, not a key".to_owned()),
                }
            } else {
                problem(unknown(&path, |key| key.path.to_owned()));
            }
        }
    }

    /// Takes the variables that begin with [`ENV_PREFIX`], each of which overrides its key in the file.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Vec<Problem>,
    ) {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()));
        for (name, value) in ours {
            let name = name.to_string_lossy().into_owned();
            let mut problem = |path: &str, message: String| {
                problems.push(Problem {
                    place: Place::Variable(name.clone()),
                    path: path.to_owned(),
                    message,
                });
            };
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                let path = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
                problem("", unknown(&path, Key::variable));
                continue;
            };
            let Some(text) = value.to_str() else {
                problem(key.path, "is not text in UTF-8".to_owned());
                continue;
            };
            match from_text(key.form, text) {
                Some(value) => {
                    let place = Place::Variable(name);
                    self.written.insert(key.path, Written { value, place });
                }
                None => problem(key.path, format!("must be {}", key.form.noun())),
            }
        }
    }

    /// What was written for a key, or its default.
    pub(super) fn get(&self, path: &str) -> Written {
        let default = || {
            let key = Key::find(path);
            debug_assert!(key.is_some(), "`{path}` is not in the list of keys");
            let value = key.and_then(|key| from_text(key.form, key.default));
            Written {
                value: value.unwrap_or(Value::Text(String::new())),
                place: Place::Default,
            }
        };
        self.written.get(path).cloned().unwrap_or_else(default)
    }
}

fn unknown(path: &str, name: impl Fn(&'static Key) -> String) -> String {
    match Key::nearest(path) {
        Some(key) => format!("there is no such key: did you mean `{}`?", name(key)),
        None => "there is no such key".to_owned(),
    }
}

fn from_toml(form: Form, value: &Spanned<DeValue<'_>>, place: &impl Fn(usize) -> Place) -> Option<Value> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    match (form, value.get_ref()) {
        (Form::Text, value) => text(value).map(Value::Text),
        (Form::Boolean, DeValue::Boolean(flag)) => Some(Value::Boolean(*flag)),
        (Form::Integer, DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(Value::Integer),
        (Form::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| text(item.get_ref()))
            .collect::<Option<_>>()
            .map(Value::List),
        (Form::Tables, value) => tables::from_toml(value, place).map(Value::Tables),
        _ => None,
    }
}

fn from_text(form: Form, text: &str) -> Option<Value> {
    match form {
        Form::Text => Some(Value::Text(text.to_owned())),
        Form::Boolean => text.parse().ok().map(Value::Boolean),
        Form::Integer => text.parse().ok().map(Value::Integer),
        Form::Tables => tables::from_text(text).map(Value::Tables),
        Form::List if text.trim().is_empty() => Some(Value::List(Vec::new())),
        Form::List => Some(Value::List(
            text.split(',').map(|item| item.trim().to_owned()).collect(),
        )),
    }
}

fn kind_of(wanted: Form, value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) if wanted == Form::Integer => "one that is so large",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) if matches!(wanted, Form::List | Form::Tables) => "one that holds other things",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
