//! JSON read in one pass, without building anything: where each value begins and ends.
//!
//! Every row passes here on its way in and on its way out, so this is among what the engine's speed depends on. It
//! accepts what RFC 8259 calls JSON, neither more nor less; what a text says wrong, and where, is another reader's to
//! tell. Pure.

use std::borrow::Cow;

/// Reads a text from its beginning. Each method answers `None` where the text is not the JSON that it asks for.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Whether the last string that was read holds an escape.
    escaped: bool,
}

impl<'a> Scanner<'a> {
    /// Begins a text.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            escaped: false,
        }
    }

    /// Where it has come to, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether the string that was read last stands for another one: it holds an escape.
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// The first byte of what comes next.
    pub fn peek(&mut self) -> Option<u8> {
        self.space();
        self.byte()
    }

    /// Reads an object: `member` gets the name of each member, its escapes resolved, and reads its value.
    pub fn object(&mut self, mut member: impl FnMut(&str, &mut Self) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            let name = self.string()?;
            let escaped = self.escaped;
            self.take(b':')?;
            member(&meant(name, escaped)?, self)?;
            if self.peek()? == b'}' {
                return self.take(b'}');
            }
            self.take(b',')?;
        }
    }

    /// Reads an array: `element` reads each value.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            element(self)?;
            if self.peek()? == b']' {
                return self.take(b']');
            }
            self.take(b',')?;
        }
    }

    /// Reads any value; answers its text as it is written.
    pub fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => return self.string(),
            b'{' | b'[' => self.nested()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        self.text.get(start..self.at)
    }

    /// Reads a string; answers it as it is written, with its quotes.
    pub fn string(&mut self) -> Option<&'a str> {
        let start = {
            self.take(b'"')?;
            self.at - 1
        };
        self.escaped = false;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            let byte = self.byte()?;
            self.at += 1;
            match byte {
                b'"' => return self.text.get(start..self.at),
                b'\\' => {
                    self.escaped = true;
                    self.escape()?;
                }
                // A control character must be escaped.
                _ => return None,
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Option<()> {
        let byte = self.byte()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                self.at += 4;
            }
            _ => return None,
        }
        Some(())
    }

    /// An object or an array, however deep: a stack of what is open instead of calls within calls.
    fn nested(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            // A value begins here.
            match self.peek()? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let end = bracket + 2;
                    if self.peek()? != end {
                        open.push(end);
                        self.name(end)?;
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => _ = self.string()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // And ends here: with it ends whatever it was the last of.
            loop {
                let Some(end) = open.last().copied() else {
                    return Some(());
                };
                let next = self.peek()?;
                self.at += 1;
                if next == end {
                    open.pop();
                } else if next == b',' {
                    self.name(end)?;
                    break;
                } else {
                    return None;
                }
            }
        }
    }

    /// The name before a value, where the value is in what ends with `end`.
    fn name(&mut self, end: u8) -> Option<()> {
        if end == b'}' {
            self.string()?;
            self.take(b':')?;
        }
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        self.skip(b'-');
        // No zero stands in front of other digits.
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is = self.byte() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// A string as it is meant, given as it is written; `None` where it has an escape that means no letter.
pub fn unquote(written: &str) -> Option<Cow<'_, str>> {
    meant(written, memchr::memchr(b'\\', written.as_bytes()).is_some())
}

/// The same where it is known whether there is an escape in it ([`Scanner::is_escaped`]).
pub fn meant(written: &str, escaped: bool) -> Option<Cow<'_, str>> {
    let (b'"', [.., b'"']) = written
        .as_bytes()
        .split_first()
        .map(|(first, rest)| (*first, rest))?
    else {
        return None;
    };
    let inner = written.get(1..written.len() - 1)?;
    if escaped {
        return serde_json::from_str(written).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Whether a text stands for itself between quotes.
pub fn is_plain(text: &str) -> bool {
    plain(text.as_bytes()) == text.len()
}

/// How many bytes from the beginning mean themselves inside a string: up to a quote, a backslash or a control
/// character, eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);

    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of a byte is set where the byte is smaller than a bound, or zero; what a byte before it borrows
        // shows only above the first one that is found.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let found = (control | quote | backslash) & HIGH;
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, value::RawValue};

    use super::*;

    /// The whole text as one value.
    fn scanned(text: &str) -> Option<&str> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.is_at_end().then_some(value)
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let tree = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        (tree, any::<bool>()).prop_map(|(value, pretty)| {
            if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            }
        })
    }

    fn same(text: &str) {
        let theirs: Option<&RawValue> = serde_json::from_str(text).ok();
        assert_eq!(scanned(text), theirs.map(RawValue::get), "{text}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "tru",
            "truth",
            "nul",
            "nan",
            "-",
            "01",
            "1.",
            "1.e1",
            ".1",
            "1e",
            "1e+",
            "+1",
            "0x1",
            "[1 2]",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[]]",
            "{\"a\" 1}",
            "[\"a\":1]",
        ] {
            assert_eq!(scanned(text), None, "{text}");
            same(text);
        }
        for text in [
            " 1 ",
            "-0",
            "0",
            "0.5e-7",
            "1E+9",
            "[]",
            "{}",
            "[[],{}]",
            "{\"\":{}}",
            "\"\\u00e4\\n\\/\"",
            "\"\u{7f}\"",
            "[1 ,\n2]",
        ] {
            assert_eq!(scanned(text), Some(text.trim()), "{text}");
            same(text);
        }
    }

    #[test]
    fn what_is_deep_needs_no_deep_stack() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(scanned(&deep), Some(&*deep));
        assert_eq!(scanned(&deep[1..]), None);
    }

    #[test]
    fn members_are_read_with_their_names_resolved() {
        let mut seen = Vec::new();
        let mut scanner = Scanner::new(r#" { "a" : [1,{"b":2}] , "\u0062\"" : "x" } "#);
        let read = scanner.object(|name, scanner| {
            seen.push((name.to_owned(), scanner.value()?.to_owned()));
            Some(())
        });
        assert!(read.is_some() && scanner.is_at_end());
        let expected = [("a", "[1,{\"b\":2}]"), ("b\"", "\"x\"")];
        assert_eq!(
            seen,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn json_is_what_another_reader_takes_for_it(text in any_json()) {
            same(&text);
        }

        #[test]
        fn a_json_that_was_changed_is_judged_alike(
            text in any_json(), at: prop::sample::Index, with in "[\\[\\]{}\",:\\\\ue0-9+.\\-a\u{1}\u{e4} ]?", drop in 0_usize..3,
        ) {
            let letters: Vec<char> = text.chars().collect();
            let at = at.index(letters.len());
            let before: String = letters[..at].iter().collect();
            let after: String = letters[(at + drop).min(letters.len())..].iter().collect();
            same(&(before + &with + &after));
        }

        #[test]
        fn a_string_is_what_it_was_written_from(text: String) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unquote(&written).map(Cow::into_owned), Some(text));
        }

        #[test]
        fn plain_ends_at_the_first_byte_that_does_not_mean_itself(bytes in "[a-z\u{80}-\u{ff}\u{1f}\u{20}\"\\\\!\\]#\\[]{0,40}") {
            let special = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\');
            let expected = bytes.bytes().position(special).unwrap_or(bytes.len());
            prop_assert_eq!(plain(bytes.as_bytes()), expected);
        }
    }
}
