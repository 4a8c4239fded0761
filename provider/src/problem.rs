//! Errors of the engine as diagnostics at their attributes.

use engine_api::{Code, FieldError, Problem, client::Error};
use tfplug::{
    diagnostics::Diagnostics,
    path::Path,
    schema::{Attribute, Kind},
    value::{Type, Value},
};

/// Adds the error of a call. `doing` ends "The engine could not …"; `config` is the configuration that was sent, where
/// one was.
pub fn report(
    error: &Error,
    doing: &str,
    attributes: &[Attribute],
    config: &Value,
    diagnostics: &mut Diagnostics,
) {
    match error {
        Error::Problem(problem) => report_problem(problem, attributes, config, diagnostics),
        Error::Unreachable { .. } | Error::Status { .. } | Error::Address(_) | Error::Malformed { .. } => {
            let mut text = error.to_string();
            if let Some(first) = text.get(..1) {
                text = first.to_uppercase() + text.get(1..).unwrap_or_default();
            }
            let end = if text.ends_with(['.', '?']) { "" } else { "." };
            diagnostics.error(
                format!("The engine could not {doing}"),
                format!("{text}{end} Check `engine_url` and whether the engine is running, then try again."),
            );
        }
    }
}

fn report_problem(
    problem: &Problem,
    attributes: &[Attribute],
    config: &Value,
    diagnostics: &mut Diagnostics,
) {
    let request = match problem.request_id.as_str() {
        "" => String::new(),
        id => format!(" Request id: `{id}`."),
    };
    let several: Vec<FieldError> = if problem.errors.is_empty() {
        vec![FieldError {
            field: problem
                .field
                .clone()
                .unwrap_or_else(|| usual_field(problem).to_owned()),
            code: problem.code.clone(),
            detail: problem.detail.clone(),
        }]
    } else {
        problem.errors.clone()
    };
    for error in several {
        let code = Code::from_word(&error.code);
        let title = code.map_or(problem.title.as_str(), |code| code.title());
        // The rules of specs are written to stand behind the field's name. Everything else speaks for itself.
        let subject = match code {
            Some(Code::InvalidSpec) => error.field.as_str(),
            _ => "",
        };
        let detail = format!(
            "{}\n\nCode: `{}`.{request}",
            sentence(subject, &error.detail),
            error.code
        );
        match attribute_path(&error.field, attributes, config) {
            Some(path) => diagnostics.attribute_error(path, title, detail),
            None => diagnostics.error(title, detail),
        }
    }
}

/// Returns the field that a code is about, where the engine names none.
fn usual_field(problem: &Problem) -> &'static str {
    match problem.code() {
        Some(Code::ZoomInvalidCredentials) => "client_secret",
        Some(Code::ZoomUnknownAccount) => "account_id",
        Some(Code::NameTaken) => "name",
        _ => "",
    }
}

/// Makes a sentence of what the engine says: either it is one, or it begins with the verb, and `field` is its subject.
pub fn sentence(field: &str, detail: &str) -> String {
    // A sentence may begin with a URL, which is none of our words.
    let begins_low = detail.chars().next().is_some_and(char::is_lowercase) && !detail.starts_with("http");
    let end = if detail.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    match (begins_low, field.is_empty()) {
        (true, false) => format!("`{field}` {detail}{end}"),
        (true, true) => {
            let mut letters = detail.chars();
            let first: String = letters
                .next()
                .map(|first| first.to_uppercase().collect())
                .unwrap_or_default();
            format!("{first}{}{end}", letters.as_str())
        }
        (false, _) => format!("{detail}{end}"),
    }
}

/// Returns the path of a field, as far as the schema knows it. A secret that is not configured while its reference is
/// stands for the reference.
pub fn attribute_path(field: &str, attributes: &[Attribute], config: &Value) -> Option<Path> {
    let mut path = Path::root();
    let mut level = attributes;
    let mut rest = field;
    while !rest.is_empty() {
        let (name, tail) = split(rest);
        let Some(attribute) = level.iter().find(|attribute| attribute.name == name) else {
            break;
        };
        path = path.attribute(name);
        rest = tail;
        match &attribute.kind {
            Kind::Nested(_, inner) => level = inner,
            Kind::Plain(Type::Map(_)) if !rest.is_empty() => {
                path = path.key(rest);
                break;
            }
            Kind::Plain(_) => {
                let reference = reference_of(&path);
                if attribute.write_only
                    && config.at(&path).is_none_or(Value::is_null)
                    && config.at(&reference).is_some_and(Value::is_known)
                {
                    path = reference;
                }
                break;
            }
        }
    }
    (!path.steps().is_empty()).then_some(path)
}

/// Splits `a.b[0].c` into its first name and the rest.
fn split(field: &str) -> (&str, &str) {
    match field.find(['.', '[']) {
        Some(end) => {
            let (name, rest) = field.split_at(end);
            (name, rest.trim_start_matches('.'))
        }
        None => (field, ""),
    }
}

fn reference_of(path: &Path) -> Path {
    let mut reference = path.clone();
    match reference.pop() {
        Some(tfplug::path::Step::Attribute(name)) => reference.attribute(format!("{name}_ref")),
        _ => path.clone(),
    }
}
