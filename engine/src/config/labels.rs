//! What the section `labels` means: the built-in rules and the user's own, compiled.

use engine_api::label::{Labeller, Rule, combine};
use serde_json::Value as Json;

use super::{Labels, Place, Problem, RawConfig, keys::closest, raw::Value, tables::Table};

const RULES: &str = "labels.rules";
const DISABLED: &str = "labels.disabled";

/// Reads the section; `None`, and at least one problem, where something is wrong.
pub(super) fn read(raw: &RawConfig, problems: &mut Vec<Problem>) -> Option<Labels> {
    let (rules, disabled) = (raw.get(RULES), raw.get(DISABLED));
    let Value::Tables(tables) = rules.value else {
        return None;
    };
    let Value::List(ids) = disabled.value else {
        return None;
    };
    let before = problems.len();
    let mut told = |path: &str, message: String| {
        let place = place(path, &tables).unwrap_or(if path.starts_with(DISABLED) {
            &disabled.place
        } else {
            &rules.place
        });
        problems.push(Problem {
            place: place.clone(),
            path: path.to_owned(),
            message,
        });
    };
    let read: Vec<_> = (0..)
        .zip(&tables)
        .map(|(number, table)| rule(number, table, &mut told))
        .collect();
    // The numbers in what is said of rules count all of them, so one that cannot be read leaves none to judge.
    let own = read.into_iter().collect::<Option<Vec<Rule>>>()?;
    let labeller = match combine(&ids, &own) {
        Ok(rules) => Labeller::new(rules).map_err(|message| told(RULES, message)).ok(),
        Err(violations) => {
            for violation in violations {
                told(&format!("labels.{}", violation.field), violation.message);
            }
            None
        }
    };
    labeller
        .filter(|_| problems.len() == before)
        .map(|labeller| Labels { labeller })
}

fn rule(number: usize, table: &Table, told: &mut impl FnMut(&str, String)) -> Option<Rule> {
    let mut unknown = false;
    for name in table
        .members
        .keys()
        .filter(|name| !Rule::MEMBERS.contains(&name.as_str()))
    {
        unknown = true;
        let message = match closest(name, Rule::MEMBERS.iter().copied()) {
            Some(meant) => format!("there is no such key: did you mean `{meant}`?"),
            None => format!("there is no such key; a rule has {}", Rule::MEMBERS.join(", ")),
        };
        told(&format!("{RULES}[{number}].{name}"), message);
    }
    if unknown {
        return None;
    }
    let read = serde_path_to_error::deserialize(Json::Object(table.members.clone()));
    read.map_err(|error| {
        let path = match error.path().to_string().as_str() {
            "." => format!("{RULES}[{number}]"),
            path => format!("{RULES}[{number}].{path}"),
        };
        told(&path, error.into_inner().to_string());
    })
    .ok()
}

/// Where something of a rule stands.
fn place<'a>(path: &str, tables: &'a [Table]) -> Option<&'a Place> {
    let (number, member) = path.strip_prefix(RULES)?.strip_prefix('[')?.split_once(']')?;
    let table = tables.get(number.parse::<usize>().ok()?)?;
    table.place(member.trim_start_matches('.'))
}
