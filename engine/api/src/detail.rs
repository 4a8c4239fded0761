//! `operation_detail`, taken apart: what was changed, field by field.
//!
//! Zoom writes one free text a row and documents no form for it. All public samples follow this one:
//!
//! ```text
//! detail  = subject [ "  - " change *( " - " change ) ] [ " " ]
//! change  = field ": " ( "from " old " to " new / "set to " [ new ] / value )
//! ```
//!
//! A [`Detail`] borrows from the text and allocates nothing; a text that does not follow has none, and it is never
//! worth less than the raw text, which is always kept beside it. What the form leaves open is decided so:
//!
//! * The first space, space, dash, space ends the subject. Single dashes before it belong to the subject.
//! * Hyphens without spaces around them (`Co-Owner`, `Sign-In`) separate nothing.
//! * ` - ` begins a change only where a field and a colon follow. Otherwise it belongs to the value, as in a range of
//!   dates or in a name.
//! * After `from`, what stands before the `to` belongs to the old value, even where it looks like a plain value of a
//!   further field; a further change with `from … to` or `set to` is one all the same.
//! * The first colon with a space behind it ends the field, the first ` to ` the old value.

use std::iter::FusedIterator;

use memchr::{memchr, memchr_iter, memmem};

/// Ends the subject.
const OPENS: &str = "  - ";
/// Stands between two changes.
const BETWEEN: &str = " - ";

/// What a detail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail<'a> {
    /// What was acted on, usually a verb and an object: `Edit Group Springfield`, `Security`. Never empty.
    pub subject: &'a str,
    /// The text from the first change on; empty where there is none.
    rest: &'a str,
}

/// One changed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The field's name, never empty. In `Change Role` it is the e-mail address of the user.
    pub field: &'a str,
    /// The old value, where the text tells one.
    pub from: Option<&'a str>,
    /// The new value, or the only one; may be empty.
    pub to: &'a str,
}

impl<'a> Detail<'a> {
    /// Takes a text apart; `None` where it does not follow the form. Takes time linear in the text's length.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (subject, rest) = match dash(text, OPENS) {
            None => (text, ""),
            Some(at) => (&text[..at], &text[at + OPENS.len()..]),
        };
        if subject.len() < text.len() && Shape::of(first_part(rest)).is_none() {
            return None;
        }
        let subject = trim(subject);
        (!subject.is_empty()).then_some(Self { subject, rest })
    }

    /// The changes, in the order of the text.
    pub fn changes(&self) -> Changes<'a> {
        Changes { rest: self.rest }
    }
}

/// The changes of a detail.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        let mut end = first_part(self.rest).len();
        let mut waits = Shape::of(&self.rest[..end])?.waits_for_to;
        // What stands behind a dash belongs to this change, unless it is one of its own.
        while let Some(behind) = self.rest.get(end + BETWEEN.len()..) {
            let part = first_part(behind);
            if Shape::of(part).is_some_and(|shape| shape.is_verbal || !waits) {
                let text = &self.rest[..end];
                self.rest = behind;
                return change(text);
            }
            waits = waits && !(holds_to(part) || part.starts_with("to "));
            end += BETWEEN.len() + part.len();
        }
        change(std::mem::take(&mut self.rest))
    }
}

impl FusedIterator for Changes<'_> {}

/// What a part of a text looks like that begins with a field.
#[derive(Clone, Copy)]
struct Shape {
    /// It says `from … to` or `set to`.
    is_verbal: bool,
    /// It says `from`, and no `to` yet.
    waits_for_to: bool,
}

impl Shape {
    /// `None` where there is no field in front.
    fn of(part: &str) -> Option<Self> {
        let (_, value) = split_field(part)?;
        let from = value.strip_prefix("from ");
        let complete = from.is_some_and(|rest| holds_to(rest) || rest.starts_with("to "));
        Some(Self {
            is_verbal: complete || set_to(value).is_some(),
            waits_for_to: from.is_some() && !complete,
        })
    }
}

/// The text up to the next dash that may separate.
fn first_part(text: &str) -> &str {
    dash(text, BETWEEN).map_or(text, |at| &text[..at])
}

/// Where a separator, which is spaces and a dash and one more space, stands first. Dashes are rare and quickly found.
fn dash(text: &str, separator: &str) -> Option<usize> {
    let before = separator.len() - 2;
    let mut dashes = memchr_iter(b'-', text.as_bytes()).filter_map(|at| at.checked_sub(before));
    dashes.find(|&at| text.as_bytes()[at..].starts_with(separator.as_bytes()))
}

/// The field and what stands behind its colon, spaces in front left out.
fn split_field(text: &str) -> Option<(&str, &str)> {
    let mut at = memchr(b':', text.as_bytes())?;
    while !matches!(text.as_bytes().get(at + 1), None | Some(b' ')) {
        at += 1 + memchr(b':', &text.as_bytes()[at + 1..])?;
    }
    let field = trim(&text[..at]);
    (!field.is_empty()).then_some((field, text[at + 1..].trim_start_matches(' ')))
}

fn change(text: &str) -> Option<Change<'_>> {
    let (field, value) = split_field(text)?;
    let (from, to) = match (set_to(value), value.strip_prefix("from")) {
        (Some(new), _) => (None, new),
        (None, Some(rest)) if rest.starts_with(' ') => match find_to(rest) {
            Some(at) => (Some(trim(&rest[..at])), &rest[at + TO.len()..]),
            None => match rest.strip_suffix(" to") {
                Some(old) => (Some(trim(old)), ""),
                None => (None, value),
            },
        },
        (None, _) => (None, value),
    };
    let to = trim(to);
    Some(Change { field, from, to })
}

fn set_to(value: &str) -> Option<&str> {
    value
        .strip_prefix("set to")
        .filter(|new| new.is_empty() || new.starts_with(' '))
}

const TO: &str = " to ";

fn find_to(text: &str) -> Option<usize> {
    memmem::find(text.as_bytes(), TO.as_bytes())
}

fn holds_to(text: &str) -> bool {
    find_to(text).is_some() || text.ends_with(" to")
}

fn trim(text: &str) -> &str {
    text.trim_matches(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Expected<'a> = &'a [(&'a str, Option<&'a str>, &'a str)];

    type Found<'a> = Vec<(&'a str, Option<&'a str>, &'a str)>;

    fn changes(text: &str) -> Option<(&str, Found<'_>)> {
        let detail = Detail::parse(text)?;
        let changes = detail
            .changes()
            .map(|change| (change.field, change.from, change.to));
        Some((detail.subject, changes.collect()))
    }

    #[test]
    fn the_public_samples_and_every_trap_of_theirs() {
        let samples: &[(&str, &str, Expected<'_>)] = &[
            (
                "Security  - Sign in with Two-Factor Authentication: from On to Off",
                "Security",
                &[("Sign in with Two-Factor Authentication", Some("On"), "Off")],
            ),
            (
                "Sign-In Password Requirement  - Have at least specified length of characters: from 8 to 14 - Include at least 1 letter: from On to Off - Include at least 1 number: from On to Off",
                "Sign-In Password Requirement",
                &[
                    ("Have at least specified length of characters", Some("8"), "14"),
                    ("Include at least 1 letter", Some("On"), "Off"),
                    ("Include at least 1 number", Some("On"), "Off"),
                ],
            ),
            (
                "Edit Group Springfield  - Personal Meeting ID (PMI) Passcode: from On to Off",
                "Edit Group Springfield",
                &[("Personal Meeting ID (PMI) Passcode", Some("On"), "Off")],
            ),
            ("Edit Group Recruiting ", "Edit Group Recruiting", &[]),
            ("Add Group Engineers", "Add Group Engineers", &[]),
            (
                "Change Role  - homer.simpson@duff.io: from User to Co-Owner",
                "Change Role",
                &[("homer.simpson@duff.io", Some("User"), "Co-Owner")],
            ),
            (
                "Add User homer@simpson.io  - User Type: Basic - Department: Foo",
                "Add User homer@simpson.io",
                &[("User Type", None, "Basic"), ("Department", None, "Foo")],
            ),
            (
                "Update User lisa@panther.io  - Job Title: set to Contractor",
                "Update User lisa@panther.io",
                &[("Job Title", None, "Contractor")],
            ),
            (
                "Update a Channel TestGroupChannel1  - Cloud Storage Retention: set to  - Name: from TestGroup1 to TestGroupChannel1",
                "Update a Channel TestGroupChannel1",
                &[
                    ("Cloud Storage Retention", None, ""),
                    ("Name", Some("TestGroup1"), "TestGroupChannel1"),
                ],
            ),
            (
                "Search Chat  - Search Date: 03/02/2023 - 03/30/2023",
                "Search Chat",
                &[("Search Date", None, "03/02/2023 - 03/30/2023")],
            ),
            (
                "Change account setting Cloud Recording from ON to OFF",
                "Change account setting Cloud Recording from ON to OFF",
                &[],
            ),
        ];
        for (text, subject, expected) in samples {
            assert_eq!(changes(text), Some((*subject, expected.to_vec())), "{text}");
        }
    }

    #[test]
    fn what_the_form_leaves_open_is_decided() {
        let samples: &[(&str, &str, Expected<'_>)] = &[
            (
                "Edit Group A - B  - Name: from A - B to C - D - Lock: set to On ",
                "Edit Group A - B",
                &[("Name", Some("A - B"), "C - D"), ("Lock", None, "On")],
            ),
            (
                "X  - Name: from a - b: c to d",
                "X",
                &[("Name", Some("a - b: c"), "d")],
            ),
            (
                "X  - Origin: from afar - Name: set to d",
                "X",
                &[("Origin", None, "from afar"), ("Name", None, "d")],
            ),
            (
                "X  - URL: from https://a.example/x: 1 to http://b:80/",
                "X",
                &[("URL", Some("https://a.example/x: 1"), "http://b:80/")],
            ),
            (
                "X  - Hours: 10:00 - 11:00",
                "X",
                &[("Hours", None, "10:00 - 11:00")],
            ),
            ("X  - A: set to", "X", &[("A", None, "")]),
            ("X  - A: set to ", "X", &[("A", None, "")]),
            ("X  - A: settled", "X", &[("A", None, "settled")]),
            ("X  - A: from  to On", "X", &[("A", Some(""), "On")]),
            ("X  - A: from On to ", "X", &[("A", Some("On"), "")]),
            ("X  - A: from On to", "X", &[("A", Some("On"), "")]),
            (
                "X  - A: from On to - B: 1",
                "X",
                &[("A", Some("On"), ""), ("B", None, "1")],
            ),
            ("X  - A:  - B: 1", "X", &[("A", None, ""), ("B", None, "1")]),
            ("X  - A: - B:", "X", &[("A", None, ""), ("B", None, "")]),
            (
                "X  - A: fromage - to you",
                "X",
                &[("A", None, "fromage - to you")],
            ),
            (
                "X  - A: from a - to b - c: d",
                "X",
                &[("A", Some("a -"), "b"), ("c", None, "d")],
            ),
        ];
        for (text, subject, expected) in samples {
            assert_eq!(changes(text), Some((*subject, expected.to_vec())), "{text}");
        }
    }

    #[test]
    fn what_does_not_follow_the_form_has_no_detail() {
        for text in [
            "",
            "   ",
            "  - A: from x to y",
            "Assign admin for channel TestChannel3  - test@test.com",
            "Edit Group X  - ",
            "Edit Group X  - : from a to b",
            "Update a Channel A  - B  - Name: from a to b",
        ] {
            assert_eq!(changes(text), None, "{text}");
        }
    }

    /// A word that nothing of the form is in: no colon, no lone dash, none of its words.
    fn plain() -> impl Strategy<Value = String> {
        let word = "[A-Za-z0-9ä(][A-Za-z0-9-ß()@.:/]{0,6}[a-z0-9)]";
        prop::collection::vec(word, 1..4)
            .prop_map(|words| words.join(" "))
            .prop_filter("a word of the form", |text| {
                !text
                    .split(' ')
                    .any(|word| matches!(word, "from" | "to" | "set") || word.ends_with(':'))
            })
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", formed in "([a-z]| - |  - |: |:|from | to |set to ){0,30}") {
            for text in [text, formed] {
                if let Some(detail) = Detail::parse(&text) {
                    prop_assert!(text.contains(detail.subject) && !detail.subject.is_empty());
                    let mut length = detail.subject.len();
                    for change in detail.changes() {
                        prop_assert!(!change.field.is_empty());
                        length += change.field.len() + change.from.map_or(0, str::len) + change.to.len() + 1;
                    }
                    prop_assert!(length <= text.len(), "{text:?} was read twice");
                    prop_assert_eq!(detail.changes().count() > 0, text.contains(OPENS));
                }
            }
        }

        #[test]
        fn a_composed_detail_is_read_back(
            subject in plain(),
            changes in prop::collection::vec((plain(), 0..4_u8, plain(), plain()), 0..4),
            space in any::<bool>(),
        ) {
            let mut text = subject.clone();
            let mut expected = Vec::new();
            for (number, (field, form, old, new)) in changes.iter().enumerate() {
                text.push_str(if number == 0 { OPENS } else { BETWEEN });
                let (value, from, to) = match form {
                    0 => (format!("from {old} to {new}"), Some(old.clone()), new.clone()),
                    1 => (format!("set to {new}"), None, new.clone()),
                    2 => ("set to ".to_owned(), None, String::new()),
                    _ => (new.clone(), None, new.clone()),
                };
                text.extend([field, ": ", &value]);
                expected.push((field.clone(), from, to));
            }
            if space {
                text.push(' ');
            }
            let detail = Detail::parse(&text).expect("it follows the form");
            let read = detail
                .changes()
                .map(|change| (change.field.to_owned(), change.from.map(str::to_owned), change.to.to_owned()));
            prop_assert_eq!(detail.subject, &subject);
            prop_assert_eq!(read.collect::<Vec<_>>(), expected);
        }
    }
}
