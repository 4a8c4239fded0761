//! Texts made comparable: what differs only in case, spacing or punctuation becomes equal.

/// Folds a text into words: lower case, every run of other characters than letters and digits one space, and one space
/// around the whole, so that a word can be looked for together with its edges.
///
/// The domain of an e-mail address stays one word with its `@`: what a company is called says nothing about what was
/// changed, while a rule can still name it (`@example.com`).
pub(super) fn fold(text: &str, into: &mut Vec<u8>) {
    into.clear();
    into.push(b' ');
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => into.push(byte),
            b'A'..=b'Z' => into.push(byte | 0x20),
            b'@' => {
                let domain = domain(&text[at + 1..]);
                if !domain.is_empty() {
                    space(into);
                    into.push(b'@');
                    into.extend(domain.bytes().map(|byte| byte.to_ascii_lowercase()));
                    at += domain.len();
                }
                space(into);
            }
            0..=0x7f => space(into),
            _ => {
                let Some(letter) = text[at..].chars().next() else {
                    break;
                };
                if letter.is_alphanumeric() {
                    for lower in letter.to_lowercase().filter(|lower| lower.is_alphanumeric()) {
                        into.extend(lower.encode_utf8(&mut [0; 4]).bytes());
                    }
                } else {
                    space(into);
                }
                at += letter.len_utf8() - 1;
            }
        }
        at += 1;
    }
    space(into);
}

fn space(into: &mut Vec<u8>) {
    if into.last() != Some(&b' ') {
        into.push(b' ');
    }
}

/// The domain at the beginning of a text; empty where there is none.
fn domain(text: &str) -> &str {
    let end = text
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-')))
        .unwrap_or(text.len());
    text[..end].trim_end_matches(['.', '-'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        let mut into = Vec::new();
        fold(text, &mut into);
        String::from_utf8(into).unwrap()
    }

    #[test]
    fn case_spacing_and_punctuation_do_not_count() {
        for (text, expected) in [
            ("", " "),
            ("User Group", " user group "),
            (" user_group ", " user group "),
            ("Sign-In  (PMI)", " sign in pmi "),
            ("ÄÖ\u{2014}Straße", " äö straße "),
            (
                "Jo.Doe@SSO-Team.Example.com: from",
                " jo doe @sso-team.example.com from ",
            ),
            ("to a@b.", " to a @b "),
            ("@ noon", " noon "),
            ("a@", " a "),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn folding_is_stable_and_has_single_spaces(text: String) {
            let once = folded(&text);
            prop_assert!(once.starts_with(' ') && once.ends_with(' ') && !once.contains("  "));
            prop_assert_eq!(folded(&once), once);
        }
    }
}
