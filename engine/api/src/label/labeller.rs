//! Rules made ready for many rows.
//!
//! Each condition of each rule is one bit. A row sets the bits of what it fulfils, field by field, each field in one
//! pass; a rule fits where all of its bits are set. What the category, the action and the operator fulfil is remembered by
//! their text, since few different ones come again and again; the operator and the detail are looked at where the others
//! leave a rule open.

use std::{collections::HashMap, sync::Arc};

use super::{
    Labelled, UNCLASSIFIED, built_in,
    matcher::Matcher,
    rule::{Condition, Rule},
};
use crate::{LogType, detail::Detail};

/// So many different labels can be told apart.
const MOST_LABELS: usize = 64;
/// So many different texts of one field are remembered.
const REMEMBERED: usize = 1_024;

/// What texts of one field fulfil.
type Remembered = HashMap<Box<str>, Box<[u64]>, foldhash::fast::RandomState>;

/// Finds the labels of rows. A clone shares the compiled rules and costs little.
#[derive(Debug, Clone)]
pub struct Labeller {
    compiled: Arc<Compiled>,
    /// What is fulfilled by the row at hand, a bit a condition.
    fulfilled: Vec<u64>,
    /// Of the category, the action and the operator.
    remembered: [Remembered; 3],
    joined: HashMap<LabelSet, Box<str>, foldhash::fast::RandomState>,
}

/// The labels of one row; empty where no rule fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(u64);

/// Why a rule fits a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What of it was found in the row, each once; empty for a rule without conditions.
    pub matched: Vec<Matched<'a>>,
}

/// A word of a rule that a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched<'a> {
    /// What the rule asks.
    pub condition: Condition,
    /// The word as the rule has it.
    pub word: &'a str,
}

#[derive(Debug, Default)]
struct Compiled {
    rules: Vec<Rule>,
    /// What each rule comes to; those first that need the least.
    checks: Vec<Check>,
    labels: Vec<Arc<str>>,
    /// The kind of each condition.
    conditions: Vec<Condition>,
    category: Matcher,
    action: Matcher,
    operator: Matcher,
    detail: Matcher,
    field: Matcher,
}

#[derive(Debug)]
struct Check {
    label: usize,
    operation: bool,
    activity: bool,
    /// The bits of its conditions on the category and the action, which are looked at first.
    few: Vec<u64>,
    /// The bits of its conditions on the detail and the operator.
    many: Vec<u64>,
    /// The condition on fields.
    field: Option<usize>,
}

impl Default for Labeller {
    /// The built-in rules.
    fn default() -> Self {
        Self::new(built_in()).unwrap_or_else(|_| Self::over(Compiled::default()))
    }
}

impl Labeller {
    /// Compiles rules, which must be valid by themselves.
    ///
    /// # Errors
    ///
    /// A sentence, where there are too many rules or labels.
    pub fn new(rules: Vec<Rule>) -> Result<Self, String> {
        Compiled::new(rules).map(Self::over)
    }

    fn over(compiled: Compiled) -> Self {
        Self {
            fulfilled: vec![0; compiled.conditions.len().div_ceil(64)],
            compiled: Arc::new(compiled),
            remembered: Default::default(),
            joined: HashMap::default(),
        }
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.compiled.rules
    }

    /// All labels that the rules can add, in their order; [`UNCLASSIFIED`] is not among them.
    pub fn all(&self) -> &[Arc<str>] {
        &self.compiled.labels
    }

    /// Whether an event can have this label.
    pub fn knows(&self, label: &str) -> bool {
        label == UNCLASSIFIED || self.all().iter().any(|known| **known == *label)
    }

    /// The labels of a row.
    pub fn labels(&mut self, log_type: LogType, row: &Labelled<'_>) -> LabelSet {
        let Self {
            compiled,
            fulfilled,
            remembered,
            ..
        } = self;
        let mut found = LabelSet::default();
        if log_type == LogType::Activity {
            for check in compiled.checks.iter().filter(|check| check.activity) {
                found.0 |= 1 << check.label;
            }
            return found;
        }
        fulfilled.fill(0);
        let few = [(&compiled.category, row.category), (&compiled.action, row.action)];
        let [categories, actions, operators] = remembered;
        for ((matcher, text), remembered) in few.into_iter().zip([categories, actions]) {
            remember(matcher, text, remembered, fulfilled);
        }
        let mut looked_at_many = false;
        let mut looked_at_fields = compiled.field.is_empty();
        for check in compiled.checks.iter().filter(|check| check.operation) {
            if found.0 & 1 << check.label != 0 || !fulfils(fulfilled, &check.few) {
                continue;
            }
            // The detail is the longest text by far, and most rows are none that a rule asks it of.
            if !check.many.is_empty() && !std::mem::replace(&mut looked_at_many, true) {
                look(&compiled.detail, row.detail, fulfilled);
                remember(&compiled.operator, row.operator, operators, fulfilled);
            }
            if !fulfils(fulfilled, &check.many) {
                continue;
            }
            if let Some(field) = check.field {
                if !looked_at_fields {
                    looked_at_fields = true;
                    let changes = Detail::parse(row.detail);
                    for change in changes.iter().flat_map(Detail::changes) {
                        look(&compiled.field, change.field, fulfilled);
                    }
                }
                if fulfilled[field / 64] & bit(field) == 0 {
                    continue;
                }
            }
            found.0 |= 1 << check.label;
        }
        found
    }

    /// The names of a row's labels, in the order of the rules; [`UNCLASSIFIED`] alone where there are none.
    pub fn names(&self, labels: LabelSet) -> impl Iterator<Item = &str> {
        labels.names(&self.compiled.labels)
    }

    /// [`Labeller::names`] with commas between.
    pub fn joined(&mut self, labels: LabelSet) -> &str {
        if self.joined.len() >= REMEMBERED {
            self.joined.clear();
        }
        let known = &self.compiled.labels;
        self.joined
            .entry(labels)
            .or_insert_with(|| labels.names(known).collect::<Vec<_>>().join(",").into())
    }

    /// Which rules fit a row, and why. For people; [`Labeller::labels`] is many times faster.
    pub fn explain(&self, log_type: LogType, row: &Labelled<'_>) -> Vec<Fit<'_>> {
        let compiled = &*self.compiled;
        let mut matched: Vec<(usize, Matched<'_>)> = Vec::new();
        if log_type == LogType::Operation {
            let detail = Detail::parse(row.detail);
            let fields = detail.iter().flat_map(Detail::changes).map(|change| change.field);
            let texts = [
                (&compiled.category, row.category),
                (&compiled.action, row.action),
                (&compiled.operator, row.operator),
                (&compiled.detail, row.detail),
            ];
            let fields = fields.map(|field| (&compiled.field, field));
            for (matcher, text) in texts.into_iter().chain(fields) {
                for (condition, word) in matcher.all(text) {
                    let kind = compiled.conditions[condition];
                    let entry = (
                        condition,
                        Matched {
                            condition: kind,
                            word,
                        },
                    );
                    if !matched.contains(&entry) {
                        matched.push(entry);
                    }
                }
            }
        }
        let mut first = 0;
        let mut fits = Vec::new();
        for rule in &compiled.rules {
            let conditions = Condition::ALL.iter().filter(|kind| !kind.words(rule).is_empty());
            let own = first..first + conditions.count();
            first = own.end;
            let fulfilled = |condition: usize| matched.iter().any(|(number, _)| *number == condition);
            if rule.looks_at(log_type) && own.clone().all(fulfilled) {
                let matched = matched.iter().filter(|(number, _)| own.contains(number));
                let matched = matched.map(|(_, matched)| *matched).collect();
                fits.push(Fit { rule, matched });
            }
        }
        fits
    }
}

impl LabelSet {
    fn names(self, known: &[Arc<str>]) -> impl Iterator<Item = &str> {
        let named = known
            .iter()
            .enumerate()
            .filter(move |(number, _)| self.0 & 1 << number != 0);
        let none = (self.0 == 0).then_some(UNCLASSIFIED);
        named.map(|(_, label)| &**label).chain(none)
    }
}

impl Compiled {
    fn new(rules: Vec<Rule>) -> Result<Self, String> {
        let mut compiled = Self::default();
        for rule in &rules {
            let known = compiled.labels.iter().position(|label| **label == *rule.label);
            let label = known.unwrap_or_else(|| {
                compiled.labels.push(rule.label.as_str().into());
                compiled.labels.len() - 1
            });
            let mut check = Check {
                label,
                operation: rule.looks_at(LogType::Operation),
                activity: rule.looks_at(LogType::Activity),
                few: Vec::new(),
                many: Vec::new(),
                field: None,
            };
            for condition in Condition::ALL {
                let words = condition.words(rule);
                if words.is_empty() {
                    continue;
                }
                let number = compiled.conditions.len();
                compiled.conditions.push(condition);
                let matcher = match condition {
                    Condition::Category => &mut compiled.category,
                    Condition::ActionContains => &mut compiled.action,
                    Condition::OperatorContains => &mut compiled.operator,
                    Condition::DetailStartsWith | Condition::DetailContains => &mut compiled.detail,
                    Condition::Field => &mut compiled.field,
                };
                for word in words {
                    matcher.add(number, condition, word);
                }
                let needs = match condition {
                    Condition::Field => {
                        check.field = Some(number);
                        continue;
                    }
                    Condition::DetailStartsWith | Condition::DetailContains | Condition::OperatorContains => {
                        &mut check.many
                    }
                    Condition::Category | Condition::ActionContains => &mut check.few,
                };
                needs.resize(number / 64 + 1, 0);
                needs[number / 64] |= bit(number);
            }
            compiled.checks.push(check);
        }
        compiled
            .checks
            .sort_by_key(|check| (check.field.is_some(), !check.many.is_empty()));
        if compiled.labels.len() > MOST_LABELS {
            return Err(format!(
                "there are {} different labels, and at most {MOST_LABELS} can be told apart",
                compiled.labels.len()
            ));
        }
        for matcher in [
            &mut compiled.category,
            &mut compiled.action,
            &mut compiled.operator,
            &mut compiled.detail,
            &mut compiled.field,
        ] {
            matcher.build()?;
        }
        compiled.rules = rules;
        Ok(compiled)
    }
}

/// Whether all the bits of `needs` are set.
fn fulfils(fulfilled: &[u64], needs: &[u64]) -> bool {
    needs
        .iter()
        .zip(fulfilled)
        .all(|(needs, has)| has & needs == *needs)
}

/// Sets the bits of what a text fulfils.
fn look(matcher: &Matcher, text: &str, fulfilled: &mut [u64]) {
    if !text.is_empty() {
        matcher.each(text, |needle| {
            fulfilled[needle.condition / 64] |= bit(needle.condition);
        });
    }
}

/// As [`look`], and remembers what a text fulfils.
fn remember(matcher: &Matcher, text: &str, remembered: &mut Remembered, fulfilled: &mut [u64]) {
    if matcher.is_empty() || text.is_empty() {
        return;
    }
    let add = |bits: &[u64], fulfilled: &mut [u64]| {
        for (fulfilled, bits) in fulfilled.iter_mut().zip(bits) {
            *fulfilled |= bits;
        }
    };
    if let Some(bits) = remembered.get(text) {
        return add(bits, fulfilled);
    }
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
    let mut bits = vec![0; fulfilled.len()];
    look(matcher, text, &mut bits);
    add(&bits, fulfilled);
    remembered.insert(text.into(), bits.into());
}

fn bit(condition: usize) -> u64 {
    1 << (condition % 64)
}
