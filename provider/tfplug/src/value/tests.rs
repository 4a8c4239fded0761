//! The codecs: what is written is read, what is not a value is refused, and nothing panics.

use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

#[track_caller]
fn read(bytes: &[u8], ty: &Type, expected: &str) {
    let value = Value::from_msgpack(bytes, ty).unwrap();
    assert_eq!(value.reveal(), expected);
}

#[test]
fn what_terraform_sends_is_read() {
    read(b"\xc0", &Type::String, "null");
    read(b"\xd4\x00\x00", &Type::String, "(unknown)");
    // A refined unknown: never null, with a prefix. Refinements are dropped.
    read(b"\xc7\x08\x0c\x82\x01\xc2\x02\xa3pre", &Type::String, "(unknown)");
    read(b"\xa3abc", &Type::String, "\"abc\"");
    read(b"\xcb\x40\x3e\x80\x00\x00\x00\x00\x00", &Type::Number, "30.5");
    read(b"\xa430.1", &Type::Number, "30.1");
    read(
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        &Type::Number,
        "18446744073709551615",
    );
    read(
        b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
        &Type::Number,
        "-9223372036854775808",
    );
    read(b"\xd0\x85", &Type::Number, "-123");
    read(b"\xff", &Type::Number, "-1");
    read(b"\x92\xc4\x08\"string\"\xa1x", &Type::Dynamic, "\"x\" as string");
    read(
        b"\x82\xa1a\x92\x01\x02\xa1b\xc0",
        &Type::object([("a", Type::list(Type::Number)), ("b", Type::Bool)]),
        "{a = [1, 2], b = null}",
    );
}

#[test]
fn what_is_not_a_value_of_the_type_is_refused() {
    let object = Type::object([("a", Type::Bool), ("b", Type::Bool)]);
    for (bytes, ty) in [
        (&b""[..], &Type::String),
        (b"\xa3ab", &Type::String),
        (b"\xa1\xff", &Type::String),
        (b"\xa1xx", &Type::String),
        (b"\x01", &Type::String),
        (b"\xa3abc", &Type::Number),
        (b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", &Type::Number),
        (b"\xc1", &Type::Bool),
        (b"\x81\xa1a\xc2", &object),
        (b"\x82\xa1a\xc2\xa1a\xc2", &object),
        (b"\x82\xa1a\xc2\xa1c\xc2", &object),
        (b"\x93\x01\x02\x03", &Type::Tuple(vec![Type::Number])),
        (b"\xdd\xff\xff\xff\xff\x01", &Type::list(Type::Number)),
        (b"\xdf\xff\xff\xff\xff\x01", &Type::map(Type::Number)),
        (b"\xdb\xff\xff\xff\xff\x01", &Type::String),
        (b"\xc9\xff\xff\xff\xff\x00", &Type::String),
        (b"\x92\xc4\x03\"x\"\xc0", &Type::Dynamic),
    ] {
        assert!(Value::from_msgpack(bytes, ty).is_err(), "{bytes:x?}");
    }
    let error = Value::from_msgpack(b"\x82\xa1a\x01\xa1b\xc2", &object).unwrap_err();
    assert_eq!(error.to_string(), "at a: a value of type bool was expected");
}

#[test]
fn nesting_is_bounded() {
    // Each dynamic value holds another one, so the type bounds nothing.
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        bytes.extend(b"\x92\xc4\x09\"dynamic\"");
    }
    bytes.push(0xc0);
    assert!(Value::from_msgpack(&bytes, &Type::Dynamic).is_err());
    let deep = format!("{}\"string\"{}", "[\"list\",".repeat(10_000), "]".repeat(10_000));
    assert!(Type::from_json(deep.as_bytes()).is_err());
}

#[test]
fn numbers_go_as_decimal_text() {
    let write = |text| number(text).to_msgpack(&Type::Number).unwrap();
    assert_eq!(write("5"), b"\xa15");
    assert_eq!(write("30.10"), b"\xa430.1");
    assert_eq!(write("1e3"), b"\xa41000");
}

#[test]
fn stored_state_is_read_leniently_and_exactly() {
    let ty = Type::object([("n", Type::Number), ("s", Type::String), ("new", Type::Bool)]);
    let stored = br#"{"n": 123456789012345678901234567890.000000001, "s": "x", "gone": [1]}"#;
    let value = Value::from_stored_json(stored, &ty).unwrap();
    assert_eq!(
        value.reveal(),
        "{n = 123456789012345678901234567890.000000001, new = null, s = \"x\"}"
    );
    assert!(Value::from_json(stored, &ty).is_err());
    // A text attribute that was a number or truth value under an older schema.
    let value = Value::from_stored_json(br#"{"s": 5}"#, &ty).unwrap();
    assert_eq!(value.get("s").as_str(), Some("5"));
}

#[test]
fn numbers_compare_by_value() {
    for (a, b) in [
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("-0", "0"),
        ("0.1e1", "1"),
        ("+7", "7"),
        ("100e-2", "1"),
    ] {
        assert_eq!(number(a), number(b), "{a} {b}");
    }
    let sorted = [
        "-1e30",
        "-2.5",
        "-2",
        "0",
        "0.1",
        "0.10000000000000000000001",
        "2",
        "18446744073709551616",
    ];
    for pair in sorted.windows(2) {
        assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
    }
    for text in [
        "",
        "-",
        ".",
        "1.2.3",
        "e5",
        "1e",
        "0x10",
        "1e99999999999",
        "NaN",
        "1 ",
    ] {
        assert!(text.parse::<Number>().is_err(), "{text}");
    }
    assert_eq!(Number::try_from(0.1).unwrap().to_string().len(), 57);
    assert_eq!(number("1e-2000").reveal(), "1e-2000");
    assert_eq!(
        number("9223372036854775808").as_number().unwrap().as_u64(),
        Some(1 << 63)
    );
}

#[test]
fn sets_are_equal_without_order_and_with_repetition() {
    let set = |texts: &[&str]| Value::Set(texts.iter().map(|text| Value::from(*text)).collect());
    assert_eq!(set(&["a", "b"]), set(&["b", "a"]));
    assert_ne!(set(&["a", "a", "b"]), set(&["a", "b", "b"]));
    assert_eq!(Value::set(["b", "a", "b"]), set(&["a", "b"]));
}

#[test]
fn debug_shows_nothing_of_a_value() {
    let secret = Value::object([("token", "marker".into()), ("pin", 1234_i64.into())]);
    let shown = format!("{secret:?}");
    assert!(!shown.contains("marker") && !shown.contains("1234"), "{shown}");
    assert!(shown.contains("token"));
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::Number),
        Just(Type::String),
        Just(Type::Dynamic)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            prop::collection::btree_map("[a-z_]{1,4}", inner.clone(), 0..4).prop_map(Type::Object),
            prop::collection::vec(inner, 0..4).prop_map(Type::Tuple),
        ]
    })
}

fn any_number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        "-?[0-9]{1,40}(\\.[0-9]{1,30})?(e-?[0-9]{1,3})?".prop_map(|text| text.parse().unwrap()),
        any::<f64>().prop_filter_map("finite", |value| Number::try_from(value).ok()),
    ]
}

fn value_of(ty: &Type, unknown: bool) -> BoxedStrategy<Value> {
    let known = match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Number => any_number().prop_map(Value::Number).boxed(),
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::Dynamic => prop_oneof![Just(Type::String), Just(Type::list(Type::Number))]
            .prop_flat_map(move |ty| {
                value_of(&ty, false).prop_map(move |value| {
                    let ty = ty.clone();
                    // A null of any type is a plain null.
                    if value.is_null() {
                        value
                    } else {
                        Value::Dynamic(Box::new(Dynamic { ty, value }))
                    }
                })
            })
            .boxed(),
        Type::List(inner) => prop::collection::vec(value_of(inner, unknown), 0..4)
            .prop_map(Value::List)
            .boxed(),
        Type::Set(inner) => prop::collection::vec(value_of(inner, unknown), 0..4)
            .prop_map(Value::Set)
            .boxed(),
        Type::Map(inner) => prop::collection::btree_map(any::<String>(), value_of(inner, unknown), 0..4)
            .prop_map(Value::Map)
            .boxed(),
        Type::Object(attributes) => attributes
            .iter()
            .map(|(name, inner)| {
                value_of(inner, unknown).prop_map({
                    let name = name.clone();
                    move |value| (name.clone(), value)
                })
            })
            .collect::<Vec<_>>()
            .prop_map(Value::object)
            .boxed(),
        Type::Tuple(types) => types
            .iter()
            .map(|inner| value_of(inner, unknown))
            .collect::<Vec<_>>()
            .prop_map(Value::Tuple)
            .boxed(),
    };
    if unknown {
        prop_oneof![1 => Just(Value::Null), 1 => Just(Value::Unknown), 6 => known].boxed()
    } else {
        prop_oneof![1 => Just(Value::Null), 6 => known].boxed()
    }
}

fn typed(unknown: bool) -> impl Strategy<Value = (Type, Value)> {
    any_type().prop_flat_map(move |ty| value_of(&ty, unknown).prop_map(move |value| (ty.clone(), value)))
}

proptest! {
    #[test]
    fn msgpack_reads_what_it_writes((ty, value) in typed(true)) {
        let bytes = value.to_msgpack(&ty).unwrap();
        let back = Value::from_msgpack(&bytes, &ty).unwrap();
        prop_assert!(value == back, "{} became {}", value.reveal(), back.reveal());
        prop_assert!(value.conforms(&ty).is_ok());
    }

    #[test]
    fn json_reads_what_it_writes((ty, value) in typed(false)) {
        let text = value.to_json(&ty).unwrap();
        let back = Value::from_json(text.as_bytes(), &ty).unwrap();
        prop_assert!(value == back, "{} became {}", value.reveal(), back.reveal());
    }

    #[test]
    fn types_are_read_as_written(ty in any_type()) {
        prop_assert_eq!(Type::from_json(ty.to_json().as_bytes()).unwrap(), ty);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, ty in any_type()) {
        let _ = Value::from_msgpack(&bytes, &ty);
        let _ = Value::from_stored_json(&bytes, &ty);
        let _ = Type::from_json(&bytes);
    }

    #[test]
    fn bytes_with_one_flaw_are_read_or_refused((ty, value) in typed(true), at: prop::sample::Index, flaw: u8) {
        let mut bytes = value.to_msgpack(&ty).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flaw;
        if let Ok(read) = Value::from_msgpack(&bytes, &ty) {
            prop_assert!(read.conforms(&ty).is_ok());
        }
    }

    #[test]
    fn numbers_order_as_integers_do(a: i64, b: i64) {
        let scaled = |value: i64| format!("{value}.0e3").parse::<Number>().unwrap();
        prop_assert_eq!(scaled(a).cmp(&scaled(b)), a.cmp(&b));
        prop_assert_eq!(Number::from(a).cmp(&Number::from(b)), a.cmp(&b));
    }

    #[test]
    fn numbers_are_read_as_shown(number in any_number()) {
        prop_assert!(number.to_string().parse::<Number>().unwrap() == number);
    }
}
