//! What the counting rule does where no rule can be exact: a Zoom whose order among rows of one second changes from
//! request to request.

use std::collections::HashMap;

use engine_api::LogType;
use zoom_log_engine::model::{
    Day, Mark, Print, ReadSummary, Row, RowHash, Window,
    counting::{Tally, Verdict},
};

use super::{Series, Table, machine::count};
use crate::rng::Rng;

/// Rows of one list: three pages.
const ROWS: usize = 900;
/// Rows that share a second with others.
const TOGETHER: usize = 4;
/// Complete reads of each list; what stays open after them stays open.
const READS: usize = 8;

/// Reads lists whose order among equal times is another at each request, and counts what comes of it.
pub fn measure(lists: u32) -> Table {
    let (mut phantoms, mut missing) = (Series::default(), Series::default());
    for seed in 0..u64::from(lists) {
        let (made_up, lost) = read(&mut Rng::new(seed));
        assert_eq!(lost, 0, "a row value was lost in list {seed}");
        phantoms.push(count(made_up.0) / count(ROWS as u64) * 1e6);
        missing.push(count(made_up.1) / count(ROWS as u64) * 1e6);
    }
    let mut table = Table::new(format!(
        "d. Where Zoom's order among equal times changes with each request: {lists} lists of {ROWS} rows, {TOGETHER} to a second"
    ));
    table.line("rows delivered that do not exist", &phantoms, "of a million");
    table.line("twins not found yet", &missing, "of a million");
    table.note("No row value was lost in any list.".to_owned());
    table
}

/// Reads one list; answers the events too many and too few, and how many row values were never delivered.
fn read(rng: &mut Rng) -> ((u64, u64), u64) {
    let texts: Vec<String> = (0..ROWS)
        .map(|row| {
            // One row in fifty is a twin of the one before it.
            let own = if rng.below(50) == 0 {
                row.saturating_sub(1)
            } else {
                row
            };
            let second = row / TOGETHER;
            format!(
                r#"{{"time":"2024-05-01T{:02}:{:02}:{:02}Z","operator":"o","operation_detail":"{own}"}}"#,
                second / 3600,
                second / 60 % 60,
                second % 60
            )
        })
        .collect();
    let mut truth: HashMap<RowHash, u64> = HashMap::new();
    let mut day = Day::UNDATED;
    for text in &texts {
        let row = Row::parse(LogType::Operation, text);
        day = row.day;
        *truth.entry(row.hash).or_default() += 1;
    }
    let mut log: Vec<Print> = Vec::new();
    let mut open: Option<ReadSummary> = None;
    for number in 0..READS {
        let size = [300, 293][number % 2];
        let mut tally = Tally::new(Window::new(day, day), u32::try_from(size).unwrap_or(300));
        tally.load(day, log.iter().copied());
        for from in (0..ROWS).step_by(size) {
            let order = shuffled(rng);
            let page: Vec<Row<'_>> = order
                .iter()
                .skip(from)
                .take(size)
                .map(|row| Row::parse(LogType::Operation, &texts[*row]))
                .collect();
            let certain = tally.page(&page);
            log.extend(certain.iter().map(|certain| page[certain.index].print()));
        }
        open = match tally.finish(open.as_ref()) {
            Verdict::Certain => None,
            Verdict::Open(summary) => Some(summary),
            Verdict::Confirmed(rows) => {
                log.extend(rows.iter().map(|late| Print {
                    hash: Row::parse(LogType::Operation, &late.text).hash,
                    mark: Mark::of(&late.text),
                }));
                None
            }
        };
    }
    let mut delivered: HashMap<RowHash, u64> = HashMap::new();
    for print in &log {
        *delivered.entry(print.hash).or_default() += 1;
    }
    let (mut too_many, mut too_few, mut lost) = (0, 0, 0);
    for (hash, owed) in &truth {
        let got = delivered.get(hash).copied().unwrap_or_default();
        too_many += got.saturating_sub(*owed);
        too_few += owed.saturating_sub(got);
        lost += u64::from(got == 0);
    }
    ((too_many, too_few), lost)
}

/// The list, newest first, with the rows of each second in an order of their own.
fn shuffled(rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ROWS).rev().collect();
    for second in order.chunks_mut(TOGETHER) {
        for at in (1..second.len()).rev() {
            let other = usize::try_from(rng.below(at as u64 + 1)).unwrap_or_default();
            second.swap(at, other);
        }
    }
    order
}
