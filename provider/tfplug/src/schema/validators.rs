//! Rules for configured values, as values next to the attribute.
//!
//! A rule sees known values only: null means not configured, and unknown is checked once it is known. No rule repeats
//! the value in its words, since it may be a secret.

use crate::{
    diagnostics::Diagnostics,
    path::Path,
    value::{Number, Value},
};

/// A rule for the values of an attribute.
pub trait Validator: Send + Sync {
    /// Returns the rule as the end of a sentence that begins with "The value", such as "must be one of …".
    fn describe(&self) -> String;

    /// Returns whether the known value satisfies the rule.
    fn accepts(&self, value: &Value) -> bool;

    /// Adds an error where the known value does not satisfy the rule.
    fn validate(&self, path: &Path, value: &Value, diagnostics: &mut Diagnostics) {
        if !self.accepts(value) {
            diagnostics.attribute_error(
                path.clone(),
                "Invalid value",
                format!("The value of `{path}` {}.", self.describe()),
            );
        }
    }
}

struct Rule<F> {
    description: String,
    accepts: F,
}

impl<F: Fn(&Value) -> bool + Send + Sync> Validator for Rule<F> {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn accepts(&self, value: &Value) -> bool {
        (self.accepts)(value)
    }
}

/// Returns the rule that `accepts` decides; `description` ends a sentence that begins with "The value".
pub fn matches_rule(
    description: impl Into<String>,
    accepts: impl Fn(&Value) -> bool + Send + Sync,
) -> impl Validator {
    Rule {
        description: description.into(),
        accepts,
    }
}

/// Returns the rule that text is one of these words.
pub fn one_of<S: Into<String>>(words: impl IntoIterator<Item = S>) -> impl Validator {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    matches_rule(format!("must be one of {}", listed.join(", ")), move |value| {
        value
            .as_str()
            .is_none_or(|text| words.iter().any(|word| word == text))
    })
}

/// Returns the rule that text has at least `min` and at most `max` characters.
pub fn length(min: usize, max: usize) -> impl Validator {
    matches_rule(
        format!("must have from {min} to {max} characters"),
        move |value| {
            value
                .as_str()
                .is_none_or(|text| (min..=max).contains(&text.chars().count()))
        },
    )
}

/// Returns the rule that a number is at least `min` and at most `max`.
pub fn between(min: i64, max: i64) -> impl Validator {
    let (low, high) = (Number::from(min), Number::from(max));
    matches_rule(format!("must be from {min} to {max}"), move |value| {
        value
            .as_number()
            .is_none_or(|number| *number >= low && *number <= high)
    })
}

/// Returns the rule that a list, set or map has at least `min` and at most `max` elements.
pub fn size(min: usize, max: usize) -> impl Validator {
    matches_rule(format!("must have from {min} to {max} elements"), move |value| {
        let count = value
            .elements()
            .map(<[Value]>::len)
            .or_else(|| value.entries().map(std::collections::BTreeMap::len));
        count.is_none_or(|count| (min..=max).contains(&count))
    })
}
