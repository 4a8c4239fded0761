//! What a measure found, as lines for people.

use std::fmt;

use super::Series;

/// One measure's lines.
#[derive(Debug, Clone)]
pub struct Table {
    title: String,
    lines: Vec<Line>,
    notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Line {
    what: String,
    unit: &'static str,
    series: Series,
}

impl Table {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lines: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, what: impl Into<String>, series: &Series, unit: &'static str) {
        self.lines.push(Line {
            what: what.into(),
            unit,
            series: series.clone(),
        });
    }

    /// Adds a sentence under the lines.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let rows: Vec<[String; 4]> = self.lines.iter().map(Line::cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let heads = ["", "median", "min..max", ""];
        let [what, median, range] = [0, 1, 2].map(|column| width(column).max(heads[column].len()));
        writeln!(
            f,
            "  {:what$}  {:>median$}  {:>range$}",
            heads[0], heads[1], heads[2]
        )?;
        for [name, middle, ends, unit] in &rows {
            writeln!(f, "  {name:what$}  {middle:>median$}  {ends:>range$}  {unit}")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

impl Line {
    fn cells(&self) -> [String; 4] {
        let Self { what, unit, series } = self;
        let range = if series.len() == 1 {
            "once".to_owned()
        } else {
            format!("{}..{}", number(series.least()), number(series.most()))
        };
        [what.clone(), number(series.median()), range, (*unit).to_owned()]
    }
}

/// Writes a number with three digits or more, and thousands apart.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size < 9.995 {
        return format!("{value:.2}");
    }
    if size < 99.95 {
        return format!("{value:.1}");
    }
    thousands(&format!("{value:.0}"))
}

/// Writes a count as it is, thousands apart.
pub(super) fn whole(count: u64) -> String {
    thousands(&count.to_string())
}

fn thousands(digits: &str) -> String {
    let mut grouped = String::new();
    for (at, digit) in digits.char_indices() {
        let behind_a_digit = digits[..at].ends_with(|before: char| before.is_ascii_digit());
        if behind_a_digit && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{Table, number, whole};

    #[test]
    fn numbers_have_three_digits_or_more() {
        for (value, text) in [
            (0.0, "0.00"),
            (1.256, "1.26"),
            (9.999, "10.0"),
            (45.21, "45.2"),
            (99.96, "100"),
            (999.4, "999"),
            (129_345.6, "129,346"),
            (1_000_000.0, "1,000,000"),
            (-1_234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
        for (count, text) in [(1, "1"), (10, "10"), (200_000, "200,000")] {
            assert_eq!(whole(count), text);
        }
    }

    #[test]
    fn lines_stand_in_columns() {
        let mut table = Table::new("x. title");
        table.line("short", &[1.0, 3.0, 2.0].into_iter().collect(), "ms");
        table.line("a longer name", &[1_500.0].into_iter().collect(), "rows/s");
        table.note("a note");
        let expected = "x. title\n\
            \x20                median    min..max\n\
            \x20 short            2.00  1.00..3.00  ms\n\
            \x20 a longer name   1,500        once  rows/s\n\
            \x20 a note\n";
        assert_eq!(table.to_string(), expected);
    }
}
