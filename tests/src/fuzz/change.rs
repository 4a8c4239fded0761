//! How an input becomes another one.

use crate::rng::Rng;

/// What parsers of JSON, TOML, MessagePack, HTTP and base64 stumble over.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-",
    b"-0",
    b"1e999",
    b"0.1",
    b"9223372036854775807",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"1e-400",
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\t",
    b"\xff",
    b"\xc3\x28",
    "\u{feff}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    b"..",
    b"%00",
    b"%",
    b"&",
    b"=",
    b"+",
    b"/",
    b"//",
    b"#",
    b"'''",
    b"\"\"\"",
    b"[[",
    b"]]",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:60Z",
    b"+262143-01-01",
    b"\xc0",
    b"\xc1",
    b"\xc7",
    b"\xd9\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xd4\x00\x00",
    b"\xc7\x03\x0c\x81\x01\xc2",
    b"__proto__",
    b"*",
    b"a.b.c",
    b"==",
    b"Wed, 21 Oct 2099 07:28:00 GMT",
    b"999999999999",
    b"zoom_log",
    b"next_page_token",
];
/// Numbers at the edges of what is counted with.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"00",
    b"4294967296",
    b"1e30",
    b"99999999999999999999999999999999999999",
];
/// Nothing that is read from outside in earnest is much longer.
const LONGEST: usize = 16 << 10;

/// Changes an input in one to eight ways; `other` is one of the corpus to take parts from.
pub(super) fn change(rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=rng.below(8) {
        one(rng, &mut bytes, other);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn one(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.index(bytes.len() + 1);
    let end = (at + rng.index(16)).min(bytes.len());
    match rng.below(10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        1 if at < bytes.len() => bytes[at] = u8::try_from(rng.below(256)).unwrap_or(0),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 | 5 => drop(bytes.splice(at..at, PIECES[rng.index(PIECES.len())].iter().copied())),
        6 => drop(bytes.splice(at..end, PIECES[rng.index(PIECES.len())].iter().copied())),
        7 => {
            // The same again, as often as nesting or length goes deep.
            let part = bytes[at..end].to_vec();
            let times = 1 << rng.below(10);
            let again = part.iter().copied().cycle().take(part.len() * times);
            bytes.splice(at..at, again.collect::<Vec<_>>());
        }
        8 if !other.is_empty() => {
            let from = rng.index(other.len());
            let to = (from + 1 + rng.index(64)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            // A number that is there becomes another one.
            if let Some(digit) = (at..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) {
                bytes.splice(digit..=digit, NUMBERS[rng.index(NUMBERS.len())].iter().copied());
            }
        }
    }
}
