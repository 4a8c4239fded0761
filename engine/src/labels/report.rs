//! What the rules make of rows, told row by row and in sum.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use engine_api::{
    LogType,
    label::{Fit, Labelled, Labeller, UNCLASSIFIED},
};
use serde_json::json;

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object, `{"rows": […], "summary": {…}}`.
    Json,
}

/// A report in the making.
pub(super) struct Report<'a, W> {
    labeller: &'a Labeller,
    output: Output,
    out: &'a mut W,
    rows: u64,
    /// Rows whose labels are others than they were given when they were collected.
    changed: u64,
    labels: BTreeMap<&'a str, u64>,
    fitted: BTreeSet<&'a str>,
}

impl<'a, W: Write> Report<'a, W> {
    pub(super) fn begin(labeller: &'a Labeller, output: Output, out: &'a mut W) -> io::Result<Self> {
        if output == Output::Json {
            out.write_all(b"{\"rows\":[")?;
        }
        let known = labeller.all().iter().map(|label| &**label).chain([UNCLASSIFIED]);
        Ok(Self {
            labeller,
            output,
            out,
            rows: 0,
            changed: 0,
            labels: known.map(|label| (label, 0)).collect(),
            fitted: BTreeSet::new(),
        })
    }

    /// Tests one row; `before` are the labels that it was given when it was collected, separated by commas.
    pub(super) fn row(
        &mut self,
        log_type: LogType,
        row: &Labelled<'_>,
        before: Option<&str>,
    ) -> io::Result<()> {
        let fits = self.labeller.explain(log_type, row);
        let mut labels: Vec<&str> = Vec::new();
        for fit in &fits {
            self.fitted.insert(&fit.rule.id);
            if !labels.contains(&fit.rule.label.as_str()) {
                labels.push(&fit.rule.label);
            }
        }
        let all = self.labeller.all();
        labels.sort_by_key(|label| all.iter().position(|known| **known == **label));
        if labels.is_empty() {
            labels.push(UNCLASSIFIED);
        }
        self.rows += 1;
        for label in &labels {
            *self.labels.entry(label).or_default() += 1;
        }
        let before = before.filter(|before| *before != labels.join(","));
        self.changed += u64::from(before.is_some());
        match self.output {
            Output::Text => self.text(log_type, row, &labels, before, &fits),
            Output::Json => self.json(log_type, row, &labels, before, &fits),
        }
    }

    fn text(
        &mut self,
        log_type: LogType,
        row: &Labelled<'_>,
        labels: &[&str],
        before: Option<&str>,
        fits: &[Fit<'_>],
    ) -> io::Result<()> {
        let out = &mut *self.out;
        write!(out, "{} {log_type}: {}", self.rows, labels.join(", "))?;
        if let Some(before) = before {
            write!(out, " (collected as {})", before.replace(',', ", "))?;
        }
        writeln!(out)?;
        if log_type == LogType::Operation {
            // Quoted, so that nothing in a row can play tricks on a terminal.
            writeln!(
                out,
                "    {:?} / {:?} / {:?}",
                row.category, row.action, row.detail
            )?;
        }
        for fit in fits {
            let words = fit
                .matched
                .iter()
                .map(|matched| format!("{} `{}`", matched.condition.as_str(), matched.word));
            let words: Vec<_> = words.collect();
            let words = if words.is_empty() {
                "every row".to_owned()
            } else {
                words.join(", ")
            };
            writeln!(out, "    {}: {words}", fit.rule.id)?;
        }
        Ok(())
    }

    fn json(
        &mut self,
        log_type: LogType,
        row: &Labelled<'_>,
        labels: &[&str],
        before: Option<&str>,
        fits: &[Fit<'_>],
    ) -> io::Result<()> {
        let rules = fits.iter().map(|fit| {
            let matched = fit.matched.iter();
            let matched = matched
                .map(|matched| json!({ "condition": matched.condition.as_str(), "word": matched.word }));
            json!({ "id": fit.rule.id, "label": fit.rule.label, "matched": matched.collect::<Vec<_>>() })
        });
        let mut told = json!({
            "log_type": log_type,
            "category_type": row.category,
            "action": row.action,
            "operator": row.operator,
            "operation_detail": row.detail,
            "labels": labels,
            "rules": rules.collect::<Vec<_>>(),
        });
        if let Some(before) = before {
            told["collected_as"] = before.split(',').collect();
        }
        let comma = if self.rows > 1 { "," } else { "" };
        write!(self.out, "{comma}\n{told}")
    }

    /// Tells the sum.
    pub(super) fn end(self) -> io::Result<()> {
        let rules = self.labeller.rules().iter().map(|rule| rule.id.as_str());
        let never: Vec<_> = rules.filter(|id| !self.fitted.contains(id)).collect();
        let out = self.out;
        if self.output == Output::Json {
            let summary = json!({
                "rows": self.rows,
                "labels": self.labels,
                "collected_otherwise": self.changed,
                "rules_without_match": never,
            });
            writeln!(out, "\n],\"summary\":{summary}}}")?;
            return out.flush();
        }
        writeln!(out, "{} rows", self.rows)?;
        // In the order of the rules, what none fits at last.
        for label in self
            .labeller
            .all()
            .iter()
            .map(|label| &**label)
            .chain([UNCLASSIFIED])
        {
            let count = self.labels.get(label).copied().unwrap_or_default();
            writeln!(out, "  {count:>8} {label}")?;
        }
        if self.changed > 0 {
            writeln!(out, "{} were collected with other labels", self.changed)?;
        }
        if !never.is_empty() {
            writeln!(out, "rules that matched nothing: {}", never.join(", "))?;
        }
        out.flush()
    }
}
