//! Rules as users write them, and how their own are put together with those that the engine comes with.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::UNCLASSIFIED;
use crate::{LogType, Violation};

/// Adds a label to the rows that fit all of its conditions; a condition that names several words wants one of them.
///
/// Words are compared folded: case, spacing and punctuation do not count. They are whole words, unless one ends with a
/// `*`, which lets it go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule's own name, unique; see [`check_label`] for its form, in which dots may stand as well.
    pub id: String,
    /// The label that it adds, one of the four kinds or one of the user's own.
    pub label: String,
    /// What it is after and how sure that is, for whoever reads it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The log types whose rows it looks at; operation, where it is not set. Rows of sign-ins have none of the fields
    /// that conditions name, so a rule for them has no conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_types: Option<BTreeSet<LogType>>,
    /// `category_type` is one of these, as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<String>,
    /// `action` holds one of these words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub action_contains: Vec<String>,
    /// `operator` holds one of these words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_contains: Vec<String>,
    /// `operation_detail` begins with one of these words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail_starts_with: Vec<String>,
    /// `operation_detail` holds one of these words, anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail_contains: Vec<String>,
    /// A field that was changed has one of these names, as a whole: see [`crate::detail`]. What does not follow that
    /// form has no fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<String>,
}

/// What a rule can ask of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// [`Rule::category`].
    Category,
    /// [`Rule::action_contains`].
    ActionContains,
    /// [`Rule::operator_contains`].
    OperatorContains,
    /// [`Rule::detail_starts_with`].
    DetailStartsWith,
    /// [`Rule::detail_contains`].
    DetailContains,
    /// [`Rule::field`].
    Field,
}

impl Condition {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::Category,
        Self::ActionContains,
        Self::OperatorContains,
        Self::DetailStartsWith,
        Self::DetailContains,
        Self::Field,
    ];

    /// The member of a rule that it is written in.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::ActionContains => "action_contains",
            Self::OperatorContains => "operator_contains",
            Self::DetailStartsWith => "detail_starts_with",
            Self::DetailContains => "detail_contains",
            Self::Field => "field",
        }
    }

    /// The words that a rule names for it.
    pub fn words(self, rule: &Rule) -> &[String] {
        match self {
            Self::Category => &rule.category,
            Self::ActionContains => &rule.action_contains,
            Self::OperatorContains => &rule.operator_contains,
            Self::DetailStartsWith => &rule.detail_starts_with,
            Self::DetailContains => &rule.detail_contains,
            Self::Field => &rule.field,
        }
    }
}

impl Rule {
    /// The members of a rule.
    pub const MEMBERS: [&'static str; 10] = [
        "id",
        "label",
        "note",
        "log_types",
        "category",
        "action_contains",
        "operator_contains",
        "detail_starts_with",
        "detail_contains",
        "field",
    ];

    /// Whether the rule looks at rows of this log type.
    pub fn looks_at(&self, log_type: LogType) -> bool {
        match &self.log_types {
            Some(log_types) => log_types.contains(&log_type),
            None => log_type == LogType::Operation,
        }
    }

    /// What is wrong with the rule by itself; the fields are those of the rule.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut wrong = |field: &str, message: &str| violations.push(Violation::new(field, message));
        if !self.id.split('.').all(is_word) || self.id.len() > LONGEST_NAME {
            wrong(
                "id",
                "must be small letters, digits and `_`, with dots between, each part beginning with a letter, such as \
                 `role_and_license.field`; at most 63 characters",
            );
        }
        if let Err(message) = check_label(&self.label) {
            wrong("label", message);
        }
        if self.log_types.as_ref().is_some_and(BTreeSet::is_empty) {
            wrong(
                "log_types",
                "must name at least one of `operation` and `activity`",
            );
        }
        let mut conditions = 0;
        for condition in Condition::ALL {
            let words = condition.words(self);
            conditions += usize::from(!words.is_empty());
            for (number, word) in words.iter().enumerate() {
                let stem = word.strip_suffix('*').unwrap_or(word);
                let message = if !stem.chars().any(char::is_alphanumeric) {
                    "holds no letter and no digit, which is all that is compared"
                } else if stem.contains('*') {
                    "may hold a `*` at its end only"
                } else {
                    continue;
                };
                wrong(&format!("{}[{number}]", condition.as_str()), message);
            }
        }
        if conditions > 0 && self.looks_at(LogType::Activity) {
            wrong(
                "log_types",
                "names `activity`, whose rows have none of the fields that conditions look at: leave it out, or give \
                 it a rule without conditions",
            );
        }
        if conditions == 0 && self.log_types.is_none() {
            wrong(
                "",
                "has no condition and would fit every row: add one (`category`, `action_contains`, \
                 `operator_contains`, `detail_starts_with`, `detail_contains` or `field`), or say `log_types` where \
                 every row of them is meant",
            );
        }
        violations
    }
}

const LONGEST_NAME: usize = 63;

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether a text can be a label: small letters, digits and `_`, a letter first, at most 63 characters, and not
/// [`UNCLASSIFIED`], which is what no rule fits.
///
/// # Errors
///
/// What a good label is.
pub fn check_label(label: &str) -> Result<(), &'static str> {
    if label == UNCLASSIFIED {
        return Err("must not be `unclassified`, which is what an event is that no rule fits");
    }
    if !is_word(label) || label.len() > LONGEST_NAME {
        return Err(
            "must be small letters, digits and `_`, beginning with a letter, such as `privileged_user`; at most 63 \
             characters",
        );
    }
    Ok(())
}

/// The rules that the engine comes with.
pub fn built_in() -> Vec<Rule> {
    // A test reads the table; it is part of the program and cannot be another one later.
    serde_json::from_str(include_str!("built_in.json")).unwrap_or_default()
}

/// The built-in rules without those that are `disabled`, then the user's own. An own rule with the id of a built-in
/// one takes its place.
///
/// # Errors
///
/// All that is wrong, at the fields `disabled[…]` and `rules[…]`.
pub fn combine(disabled: &[String], own: &[Rule]) -> Result<Vec<Rule>, Vec<Violation>> {
    let mut rules = built_in();
    let mut violations = Vec::new();
    for (number, id) in disabled.iter().enumerate() {
        let field = format!("disabled[{number}]");
        if !rules.iter().any(|rule| rule.id == *id) {
            let ids: Vec<_> = rules.iter().map(|rule| format!("`{}`", rule.id)).collect();
            let message = format!("`{id}` is no built-in rule; those are {}", ids.join(", "));
            violations.push(Violation::new(field, message));
        } else if own.iter().any(|rule| rule.id == *id) {
            let message = format!("`{id}` is replaced by a rule of that id: keep one of the two");
            violations.push(Violation::new(field, message));
        }
    }
    rules.retain(|rule| !disabled.contains(&rule.id));
    for (number, rule) in own.iter().enumerate() {
        let at = |field: &str| match field {
            "" => format!("rules[{number}]"),
            field => format!("rules[{number}].{field}"),
        };
        let broken = rule.validate();
        violations.extend(broken.into_iter().map(|broken| Violation {
            field: at(&broken.field),
            ..broken
        }));
        if own[..number].iter().any(|other| other.id == rule.id) {
            let message = format!("`{}` is the id of another rule", rule.id);
            violations.push(Violation::new(at("id"), message));
        }
        match rules.iter_mut().find(|known| known.id == rule.id) {
            Some(known) => *known = rule.clone(),
            None => rules.push(rule.clone()),
        }
    }
    if violations.is_empty() {
        Ok(rules)
    } else {
        Err(violations)
    }
}
