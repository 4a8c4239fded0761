//! Texts made comparable: what differs only in case, spacing or punctuation becomes equal.

/// Folds a text into words: lower case, every run of other characters than letters and digits one space, and one space
/// around the whole, so that a word can be looked for together with its edges.
///
/// The domain of an e-mail address stays one word with its `@`: what a company is called says nothing about what was
/// changed, while a rule can still name it (`@example.com`).
///
/// Each byte of the folded text is handed to `emit`: nothing is kept of it where nobody needs it again.
pub(super) fn fold(text: &str, mut emit: impl FnMut(u8)) {
    emit(b' ');
    let mut spaced = true;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += match PLAIN[usize::from(byte)] {
            0 => special(&text[at..], &mut spaced, &mut emit),
            b' ' => {
                space(&mut spaced, &mut emit);
                1
            }
            letter => {
                spaced = false;
                emit(letter);
                1
            }
        }
    }
    space(&mut spaced, &mut emit);
}

/// What each byte becomes; 0 for those that need a look at what follows.
const PLAIN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = match byte {
            b'@' => 0,
            _ if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
            _ => b' ',
        };
        byte += 1;
    }
    table
};

/// Folds what is at the beginning of a text, a domain or a letter beyond ASCII; answers how many bytes that were.
fn special(text: &str, spaced: &mut bool, emit: &mut impl FnMut(u8)) -> usize {
    if let Some(behind) = text.strip_prefix('@') {
        let domain = domain(behind);
        space(spaced, emit);
        if !domain.is_empty() {
            emit(b'@');
            domain.bytes().for_each(|byte| emit(byte.to_ascii_lowercase()));
            emit(b' ');
        }
        return 1 + domain.len();
    }
    let Some(letter) = text.chars().next() else {
        return 1;
    };
    if letter.is_alphanumeric() {
        for lower in letter.to_lowercase().filter(|lower| lower.is_alphanumeric()) {
            *spaced = false;
            lower.encode_utf8(&mut [0; 4]).bytes().for_each(&mut *emit);
        }
    } else {
        space(spaced, emit);
    }
    letter.len_utf8()
}

/// A space, unless one stands there.
fn space(spaced: &mut bool, emit: &mut impl FnMut(u8)) {
    if !std::mem::replace(spaced, true) {
        emit(b' ');
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
        fold(text, |byte| into.push(byte));
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
