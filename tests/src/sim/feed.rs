//! The list of rows behind one report of one account, cut into pages in time proportional to the page.
//!
//! Rows are kept per UTC day: their bytes one after another, and an index sorted by place in the list. A page finds
//! its first row by adding up whole days, so that millions of rows cost no more than a few. Rows are only ever
//! added, as at Zoom.

use std::collections::BTreeMap;

use super::{account::Order, rows::Row, wording::Wording};
use crate::rng::Rng;

const MILLIS_A_DAY: i64 = 86_400_000;

/// Every row of one report, in list order.
#[derive(Debug, Default)]
pub(super) struct Feed {
    days: BTreeMap<i64, Day>,
    rows: u64,
    next_seq: u32,
}

#[derive(Debug, Default)]
struct Day {
    bytes: Vec<u8>,
    /// Oldest first; equal times in the order of arrival.
    index: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    place: Place,
    start: u32,
    len: u32,
    category: u8,
}

/// A row's place: its time, then the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) millis: i64,
    pub(super) seq: u32,
}

/// What one request may see: a half-open span of time, a filter, and for a snapshot the rows that were there then.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) start_millis: i64,
    pub(super) end_millis: i64,
    pub(super) order: Order,
    pub(super) category: Option<u8>,
    /// Rows that arrived with this number or later are not seen.
    pub(super) before_seq: Option<u32>,
    /// Shuffles rows of one and the same time; another seed gives another order.
    pub(super) tie_seed: Option<u64>,
    /// How rows are shown; as they were added where there is none.
    pub(super) wording: Option<&'a Wording>,
}

/// Where a page starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// So many rows into the list as it stands now.
    Offset(u64),
    /// After this row, wherever that is by now.
    After(Place),
}

/// The rows of a page, joined with commas, and what follows it.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) joined: Vec<u8>,
    pub(super) rows: u64,
    pub(super) last: Option<Place>,
    pub(super) more: bool,
}

impl Feed {
    pub(super) fn len(&self) -> u64 {
        self.rows
    }

    /// Returns the arrival number that the next row will get.
    pub(super) fn next_seq(&self) -> u32 {
        self.next_seq
    }

    /// Adds rows; a day that got a row out of order is sorted once, at the end.
    pub(super) fn extend(&mut self, rows: impl IntoIterator<Item = Row>) -> u64 {
        let mut unsorted = Vec::new();
        let mut added = 0;
        for row in rows {
            let place = Place {
                millis: row.at.as_millisecond(),
                seq: self.next_seq,
            };
            let number = place.millis.div_euclid(MILLIS_A_DAY);
            let day = self.days.entry(number).or_default();
            let start = u32::try_from(day.bytes.len()).expect("a day of rows fits 4 GiB");
            let len = u32::try_from(row.json.len()).expect("a row fits 4 GiB");
            day.bytes.extend_from_slice(row.json.as_bytes());
            if day.index.last().is_some_and(|last| last.place > place) && unsorted.last() != Some(&number) {
                unsorted.push(number);
            }
            day.index.push(Entry {
                place,
                start,
                len,
                category: row.category,
            });
            self.next_seq = self.next_seq.checked_add(1).expect("fewer than 4 billion rows");
            added += 1;
        }
        for number in unsorted {
            if let Some(day) = self.days.get_mut(&number) {
                day.index.sort_unstable_by_key(|entry| entry.place);
            }
        }
        self.rows += added;
        added
    }

    /// Visits the text of every row, oldest first.
    pub(super) fn each(&self, mut visit: impl FnMut(&[u8])) {
        for day in self.days.values() {
            for entry in &day.index {
                visit(day.text(entry));
            }
        }
    }

    /// Cuts at most `size` rows out of the list that `view` shows.
    pub(super) fn cut(&self, view: &View<'_>, from: Start, size: u64) -> Cut {
        let first = view.start_millis.div_euclid(MILLIS_A_DAY);
        let last = (view.end_millis - 1).div_euclid(MILLIS_A_DAY);
        if first > last {
            return Cut::default();
        }
        let mut cutter = Cutter {
            view,
            from,
            size,
            skipped: 0,
            cut: Cut::default(),
        };
        let days = self.days.range(first..=last).map(|(_, day)| day);
        match view.order {
            Order::OldestFirst => days.take_while(|day| cutter.take(day)).count(),
            Order::NewestFirst => days.rev().take_while(|day| cutter.take(day)).count(),
        };
        cutter.cut
    }
}

impl Day {
    fn text(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize..entry.start as usize + entry.len as usize]
    }
}

struct Cutter<'a> {
    view: &'a View<'a>,
    from: Start,
    size: u64,
    skipped: u64,
    cut: Cut,
}

impl Cutter<'_> {
    /// Takes what the page needs of one day; returns false when the page is complete.
    fn take(&mut self, day: &Day) -> bool {
        let low = day
            .index
            .partition_point(|entry| entry.place.millis < self.view.start_millis);
        let high = day
            .index
            .partition_point(|entry| entry.place.millis < self.view.end_millis);
        let (mut low, mut high) = (low, high);
        let plain = self.view.category.is_none() && self.view.before_seq.is_none();
        // The whole point of the layout: rows before the page are skipped by the day, not one by one.
        match self.from {
            Start::Offset(offset) if plain => {
                let ahead = usize::try_from(offset - self.skipped)
                    .unwrap_or(usize::MAX)
                    .min(high - low);
                self.skipped += ahead as u64;
                match self.view.order {
                    Order::OldestFirst => low += ahead,
                    Order::NewestFirst => high -= ahead,
                }
            }
            Start::Offset(_) => {}
            Start::After(place) => match self.view.order {
                Order::OldestFirst => {
                    low = low.max(day.index.partition_point(|entry| entry.place <= place));
                }
                Order::NewestFirst => {
                    high = high.min(day.index.partition_point(|entry| entry.place < place));
                }
            },
        }
        let mut ties = Ties {
            day,
            seed: self.view.tie_seed,
            group: 0..0,
            order: Vec::new(),
        };
        for step in 0..high.saturating_sub(low) {
            let position = match self.view.order {
                Order::OldestFirst => low + step,
                Order::NewestFirst => high - 1 - step,
            };
            if !self.offer(day, &day.index[ties.resolve(position)]) {
                return false;
            }
        }
        true
    }

    fn offer(&mut self, day: &Day, entry: &Entry) -> bool {
        let filtered = self
            .view
            .category
            .is_some_and(|category| category != entry.category)
            || self
                .view
                .before_seq
                .is_some_and(|before| entry.place.seq >= before);
        if filtered {
            return true;
        }
        if let Start::Offset(offset) = self.from
            && self.skipped < offset
        {
            self.skipped += 1;
            return true;
        }
        if self.cut.rows == self.size {
            self.cut.more = true;
            return false;
        }
        if self.cut.rows > 0 {
            self.cut.joined.push(b',');
        }
        let text = day.text(entry);
        match (self.view.wording, std::str::from_utf8(text)) {
            (Some(wording), Ok(row)) => self.cut.joined.extend_from_slice(wording.write(row).as_bytes()),
            _ => self.cut.joined.extend_from_slice(text),
        }
        self.cut.rows += 1;
        self.cut.last = Some(entry.place);
        true
    }
}

/// Shuffles the rows of one time among their own positions.
struct Ties<'a> {
    day: &'a Day,
    seed: Option<u64>,
    group: std::ops::Range<usize>,
    order: Vec<usize>,
}

impl Ties<'_> {
    fn resolve(&mut self, position: usize) -> usize {
        let Some(seed) = self.seed else { return position };
        if !self.group.contains(&position) {
            let millis = self.day.index[position].place.millis;
            let low = self
                .day
                .index
                .partition_point(|entry| entry.place.millis < millis);
            let high = self
                .day
                .index
                .partition_point(|entry| entry.place.millis <= millis);
            self.group = low..high;
            self.order = (low..high).collect();
            Rng::new(seed ^ millis.unsigned_abs()).shuffle(&mut self.order);
        }
        self.order[position - self.group.start]
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Feed, Start, View};
    use crate::sim::{Order, Row};

    fn row(second: i64, text: &str) -> Row {
        Row {
            at: Timestamp::from_second(second).unwrap(),
            json: text.to_owned(),
            category: 0,
        }
    }

    fn view(order: Order) -> View<'static> {
        View {
            start_millis: 0,
            end_millis: i64::MAX,
            order,
            category: None,
            before_seq: None,
            tie_seed: None,
            wording: None,
        }
    }

    fn text(feed: &Feed, view: &View<'_>, from: Start, size: u64) -> String {
        String::from_utf8(feed.cut(view, from, size).joined).unwrap()
    }

    #[test]
    fn pages_follow_one_another_in_both_orders_across_days() {
        let mut feed = Feed::default();
        feed.extend([
            row(10, "a"),
            row(90_000, "c"),
            row(90_000, "d"),
            row(5, "late"),
            row(200_000, "e"),
        ]);
        let newest = view(Order::NewestFirst);
        let pages: Vec<String> = (0..3)
            .map(|page| text(&feed, &newest, Start::Offset(page * 2), 2))
            .collect();
        assert_eq!(pages, ["e,d", "c,a", "late"]);
        let oldest = view(Order::OldestFirst);
        assert_eq!(text(&feed, &oldest, Start::Offset(0), 9), "late,a,c,d,e");
        assert!(feed.cut(&newest, Start::Offset(0), 4).more);
        assert!(!feed.cut(&newest, Start::Offset(0), 5).more);
    }

    #[test]
    fn an_insertion_shifts_an_offset_page_and_not_a_snapshot_page() {
        let mut feed = Feed::default();
        feed.extend((0..6).map(|second| row(second, &second.to_string())));
        let live = view(Order::NewestFirst);
        let snapshot = View {
            before_seq: Some(feed.next_seq()),
            ..live
        };
        let first = feed.cut(&snapshot, Start::Offset(0), 3);
        assert_eq!(first.joined, b"5,4,3");
        feed.extend([row(9, "new")]);
        assert_eq!(text(&feed, &live, Start::Offset(3), 3), "3,2,1");
        assert_eq!(
            text(&feed, &snapshot, Start::After(first.last.unwrap()), 3),
            "2,1,0"
        );
    }

    #[test]
    fn shuffled_ties_stay_within_their_second_and_lose_nothing() {
        let mut feed = Feed::default();
        feed.extend((0..40).map(|number| row(number / 10, &number.to_string())));
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..5 {
            let shown = View {
                tie_seed: Some(seed),
                ..view(Order::OldestFirst)
            };
            let pages: Vec<String> = (0..6)
                .map(|page| text(&feed, &shown, Start::Offset(page * 7), 7))
                .collect();
            let all: Vec<u64> = pages
                .join(",")
                .split(',')
                .map(|number| number.parse().unwrap())
                .collect();
            let seconds: Vec<u64> = all.iter().map(|number| number / 10).collect();
            assert!(seconds.is_sorted());
            let mut sorted = all.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..40).collect::<Vec<u64>>());
            orders.insert(all);
        }
        assert!(orders.len() > 1);
    }

    #[test]
    fn a_window_and_a_filter_hide_what_is_outside() {
        let mut feed = Feed::default();
        feed.extend((0..10).map(|second| Row {
            category: u8::from(second % 2 == 0),
            ..row(second, "x")
        }));
        let shown = View {
            start_millis: 2_000,
            end_millis: 8_000,
            category: Some(1),
            ..view(Order::NewestFirst)
        };
        assert_eq!(feed.cut(&shown, Start::Offset(0), 300).rows, 3);
        assert_eq!(feed.cut(&shown, Start::Offset(2), 300).rows, 1);
    }
}
