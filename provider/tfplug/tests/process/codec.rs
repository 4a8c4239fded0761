//! The value codec against hostile bytes: whatever is sent, it neither panics nor takes more memory than what was sent
//! calls for, and what it reads it writes and reads again as the same.
//!
//! Each target is a plain function of bytes, for any fuzzer; here random bytes, and flaws in what Terraform really sent,
//! lead them. `TFPLUG_CASES` sets how many.

use std::{env, fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::Config};
use tfplug::value::{Type, Value};

/// The types that the first byte of an input chooses from: every kind, and each kind inside of others.
const TYPES: [&str; 12] = [
    r#""dynamic""#,
    r#""string""#,
    r#""number""#,
    r#""bool""#,
    r#"["list","dynamic"]"#,
    r#"["set","string"]"#,
    r#"["map","number"]"#,
    r#"["tuple",["string",["list","bool"],"dynamic"]]"#,
    r#"["object",{"a":"string","b":["list",["object",{"c":"number","d":"dynamic"}]]}]"#,
    r#"["list",["list",["list",["list","string"]]]]"#,
    r#"["map",["set",["object",{"x":"bool"}]]]"#,
    r#"["object",{"a":["map",["map","dynamic"]],"b":["set","number"],"c":["tuple",[]]}]"#,
];

/// Splits an input into a type and what is to be read as one.
fn split(input: &[u8]) -> Option<(Type, &[u8])> {
    let (first, rest) = input.split_first()?;
    let ty = TYPES[usize::from(*first) % TYPES.len()];
    Some((Type::from_json(ty.as_bytes()).unwrap(), rest))
}

/// Returns how many values a type has by itself: an absent attribute is read as a null.
fn width(ty: &Type) -> usize {
    1 + match ty {
        Type::Object(attributes) => attributes.values().map(width).sum(),
        Type::Tuple(elements) => elements.iter().map(width).sum(),
        Type::List(inner) | Type::Set(inner) | Type::Map(inner) => width(inner),
        Type::Bool | Type::Number | Type::String | Type::Dynamic => 0,
    }
}

/// Returns how many values there are in a value, and how many bytes of text and digits.
fn size(value: &Value) -> (usize, usize) {
    let (mut values, mut text) = (0, 0);
    value.walk(&mut tfplug::path::Path::root(), &mut |_, value| {
        values += 1;
        text += match value {
            Value::String(value) => value.len(),
            Value::Map(entries) | Value::Object(entries) => entries.keys().map(String::len).sum(),
            _ => 0,
        };
        true
    });
    (values, text)
}

/// Holds that a value is no larger than what it was read from calls for.
fn is_bounded(value: &Value, ty: &Type, bytes: &[u8]) {
    let (values, text) = size(value);
    // Each value but an absent attribute takes a byte at least, and so does each byte of a text; the names of absent
    // attributes are the type's.
    let most = (bytes.len() + 1) * width(ty);
    assert!(values <= most, "{values} values of {} bytes", bytes.len());
    assert!(
        text <= bytes.len() + most * 8,
        "{text} bytes of text of {} bytes",
        bytes.len()
    );
}

/// Target: any bytes as msgpack.
fn msgpack(input: &[u8]) {
    let Some((ty, bytes)) = split(input) else { return };
    let Ok(value) = Value::from_msgpack(bytes, &ty) else {
        return;
    };
    assert!(value.conforms(&ty).is_ok());
    is_bounded(&value, &ty, bytes);
    let written = value.to_msgpack(&ty).unwrap();
    let again = Value::from_msgpack(&written, &ty).unwrap();
    assert!(again == value, "{} became {}", value.reveal(), again.reveal());
    assert_eq!(again.to_msgpack(&ty).unwrap(), written);
}

/// Target: any bytes as JSON.
fn json(input: &[u8]) {
    let Some((ty, bytes)) = split(input) else { return };
    let strict = Value::from_json(bytes, &ty);
    let Ok(value) = Value::from_stored_json(bytes, &ty) else {
        assert!(strict.is_err(), "what is refused as stored is taken as exact");
        return;
    };
    if let Ok(strict) = strict {
        assert!(strict == value, "{} became {}", strict.reveal(), value.reveal());
    }
    assert!(value.conforms(&ty).is_ok());
    is_bounded(&value, &ty, bytes);
    let written = value.to_json(&ty).unwrap();
    let again = Value::from_json(written.as_bytes(), &ty).unwrap();
    assert!(again == value, "{} became {}", value.reveal(), again.reveal());
}

/// Target: any bytes as a type.
fn types(input: &[u8]) {
    if let Ok(ty) = Type::from_json(input) {
        assert!(width(&ty) <= input.len() + 1);
        assert_eq!(Type::from_json(ty.to_json().as_bytes()).unwrap(), ty);
    }
}

fn all(input: &[u8]) {
    msgpack(input);
    json(input);
    types(input);
}

/// What Terraform really sent, each behind every choice of a type.
fn recorded() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = ["config.msgpack", "state.json"].map(|name| fs::read(folder.join(name)).unwrap());
    let mut inputs = Vec::new();
    for file in files {
        for choice in 0..TYPES.len() {
            let first = u8::try_from(choice).unwrap();
            inputs.push([&[first], file.as_slice()].concat());
        }
    }
    inputs
}

#[test]
fn what_terraform_sent_is_read_or_refused_and_so_is_every_beginning_of_it() {
    for input in recorded() {
        for end in 0..=input.len() {
            all(&input[..end]);
        }
    }
}

#[test]
fn little_that_announces_much_takes_little() {
    // Arrays, maps, texts and extensions of four billion, in every place; nesting without end.
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        for choice in 0..TYPES.len() {
            let announced = [marker, 0xff, 0xff, 0xff, 0xff, 0x00];
            let mut input = vec![u8::try_from(choice).unwrap()];
            input.extend(announced.repeat(64));
            all(&input);
        }
    }
    for (opening, choice) in [(0x91_u8, 4_u8), (b'[', 9), (b'{', 10), (0x92, 0)] {
        let mut input = vec![choice];
        input.extend(std::iter::repeat_n(opening, 1 << 20));
        all(&input);
    }
    for number in ["1e999999999", "-1e-999999999", "1e1000000", &"9".repeat(1 << 16)] {
        let mut input = vec![2];
        input.extend(number.bytes());
        all(&input);
    }
}

fn cases() -> u32 {
    let asked = env::var("TFPLUG_CASES").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(2_000)
}

/// Bytes of which many mean something to the codecs.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(
        b"\x00\x80\x81\x90\x91\x92\xa1\xc0\xc2\xc3\xc4\xc7\xcb\xcf\xd4\xd9\xdc\xde\xff[]{}\",:01.e-tfn\\u"
            .to_vec(),
    );
    (any::<u8>(), vec(prop_oneof![telling, any::<u8>()], 0..200)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

proptest! {
    #![proptest_config(Config { cases: cases(), ..Config::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(input in any_input()) {
        all(&input);
    }

    #[test]
    fn what_terraform_sent_with_flaws_is_read_or_refused(
        which in any::<Index>(),
        flaws in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let recorded = recorded();
        let mut input = which.get(&recorded).clone();
        for (place, flaw) in flaws {
            let place = place.index(input.len());
            input[place] = flaw;
        }
        all(&input);
    }
}
