//! Looks for all the words that the rules name of one field of a row, in one pass.

use aho_corasick::{
    Anchored, MatchKind,
    automaton::Automaton as _,
    dfa::{Builder, DFA},
};

use super::{fold::fold, rule::Condition};

/// So many words of one field are looked for at most.
const MOST_NEEDLES: usize = 2_000;

/// One word, or several in a row, that a rule looks for.
#[derive(Debug)]
pub(super) struct Needle {
    /// The number of the condition, among those of all rules, that it fulfils.
    pub(super) condition: usize,
    /// As the rule has it.
    written: String,
    length: usize,
    at_start: bool,
    at_end: bool,
}

/// All needles for one field of a row.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    needles: Vec<Needle>,
    /// `None` until it is built, and where there are no needles.
    automaton: Option<DFA>,
    /// Whether each needle begins at a word's edge, as all do that are more than an edge.
    at_edges: bool,
    folded: Vec<Vec<u8>>,
}

impl Matcher {
    /// Adds a needle that fulfils the condition `number`, which is of the kind `condition`.
    pub(super) fn add(&mut self, number: usize, condition: Condition, written: &str) {
        let open = written.ends_with('*');
        let mut folded = Vec::new();
        fold(written, |byte| folded.push(byte));
        if open {
            // Without its last edge a word may go on.
            folded.pop();
        }
        let whole = matches!(condition, Condition::Category | Condition::Field);
        self.needles.push(Needle {
            condition: number,
            written: written.to_owned(),
            length: folded.len(),
            at_start: whole || condition == Condition::DetailStartsWith,
            at_end: whole && !open,
        });
        self.folded.push(folded);
    }

    /// Makes ready; `Err` with the reason where there are too many needles.
    pub(super) fn build(&mut self) -> Result<(), String> {
        let folded = std::mem::take(&mut self.folded);
        // A table of all states is the fastest form, and grows with the needles.
        if folded.len() > MOST_NEEDLES {
            return Err(format!(
                "the rules name {} words of one field, and at most {MOST_NEEDLES} are looked for",
                folded.len()
            ));
        }
        self.at_edges = folded.iter().all(|needle| needle.first() == Some(&b' '));
        if !folded.is_empty() {
            let automaton = Builder::new().match_kind(MatchKind::Standard).build(folded);
            self.automaton = Some(automaton.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// The condition and the word of each needle that a text holds.
    pub(super) fn all(&self, text: &str) -> Vec<(usize, &str)> {
        let mut all = Vec::new();
        self.each(text, |needle| {
            all.push((needle.condition, needle.written.as_str()));
        });
        all
    }

    /// Hands each needle that a text holds, once folded, to `found`; one that it holds twice, twice. The text is folded
    /// and looked through in one pass.
    pub(super) fn each<'a>(&'a self, text: &str, mut found: impl FnMut(&'a Needle)) {
        let Some(automaton) = &self.automaton else { return };
        let Ok(start) = automaton.start_state(Anchored::No) else {
            return;
        };
        let mut state = start;
        let mut at = 0;
        let mut hand = |state, at, at_end| {
            for number in 0..automaton.match_len(state) {
                let needle = &self.needles[automaton.match_pattern(state, number).as_usize()];
                if needle.at_end == at_end && (!needle.at_start || needle.length == at) {
                    found(needle);
                }
            }
        };
        fold(text, |byte| {
            at += 1;
            // What stands in a word that no needle begins with needs no look at the table, and that is most of a text.
            if self.at_edges && state == start && byte != b' ' {
                return;
            }
            state = automaton.next_state(Anchored::No, state, byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                hand(state, at, false);
            }
        });
        if automaton.is_match(state) {
            hand(state, at, true);
        }
    }
}
