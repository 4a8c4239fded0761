//! Models are read and written as their schema says.

use std::collections::BTreeMap;

use super::*;
use crate::{
    path::Path,
    schema::{Computed, Kind, Mode, Nesting, Replace, between},
    value::{Number, Type, Value as Untyped},
};

/// A thing.
///
/// With two paragraphs.
#[derive(Model, Default)]
#[tf(version = 3, deprecated = "Use another.")]
struct Thing {
    /// Which one.
    #[tf(computed)]
    id: Value<String>,
    /// What
    /// on two lines.
    #[tf(required, requires_replace, name = "type")]
    kind: Value<String>,
    #[tf(default = 2, validate = between(1, 9))]
    size: Value<u32>,
    #[tf(optional, computed, changes_on_update, sensitive)]
    token: Value<String>,
    #[tf(same_if = |a: &String, b: &String| a.eq_ignore_ascii_case(b))]
    nap: Value<String>,
    exact: Value<Number>,
    words: Value<Set<String>>,
    parts: Value<Vec<Value<Part>>>,
    named: Value<BTreeMap<String, Value<i64>>>,
    secret: Secret,
}

/// A part.
#[derive(Model, Clone, Debug, PartialEq)]
struct Part {
    /// Whether it is there.
    #[tf(required, deprecated = "It always is.")]
    there: Value<bool>,
}

fn attribute(name: &str) -> Attribute {
    Thing::schema().attribute(name).unwrap().clone()
}

#[test]
fn a_schema_says_what_stands_at_the_fields() {
    let schema = Thing::schema();
    assert_eq!(schema.version, 3);
    assert_eq!(schema.description, "A thing.\n\nWith two paragraphs.");
    assert_eq!(schema.deprecation.as_deref(), Some("Use another."));
    let names: Vec<&str> = schema
        .attributes
        .iter()
        .map(|attribute| attribute.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "id", "type", "size", "token", "nap", "exact", "words", "parts", "named", "secret"
        ]
    );
    assert_eq!(attribute("id").mode, Mode::Computed);
    let kind = attribute("type");
    assert_eq!(kind.mode, Mode::Required);
    assert_eq!(kind.description, "What\non two lines.");
    assert!(matches!(kind.replace, Replace::OnChange));
    let size = attribute("size");
    assert_eq!(size.mode, Mode::OptionalComputed);
    assert_eq!(size.default, Some(Untyped::from(2_i64)));
    assert!(
        size.validators[0].accepts(&Untyped::from(9_i64))
            && !size.validators[0].accepts(&Untyped::from(10_i64))
    );
    let token = attribute("token");
    assert_eq!(
        (token.mode, token.computed, token.sensitive),
        (Mode::OptionalComputed, Computed::ChangesOnUpdate, true)
    );
    assert!(attribute("nap").means_same(&"NOON".into(), &"noon".into()));
    assert_eq!(attribute("words").ty(), Type::set(Type::String));
    assert_eq!(attribute("named").ty(), Type::map(Type::Number));
    let parts = attribute("parts");
    let Kind::Nested(Nesting::List, inner) = &parts.kind else {
        panic!("{parts:?}")
    };
    assert_eq!(inner[0].deprecation.as_deref(), Some("It always is."));
    assert!(attribute("secret").write_only && attribute("secret").sensitive);
}

#[test]
fn a_value_is_read_and_written_but_for_its_secret() {
    let mut value = Thing::schema().null_object();
    value.set_attribute("id", Untyped::Unknown);
    value.set_attribute("type", "x");
    value.set_attribute("exact", "0.1".parse::<Number>().unwrap());
    value.set_attribute("words", Untyped::set(["b", "a"]));
    value.set_attribute(
        "parts",
        Untyped::List(vec![Untyped::object([("there", true.into())]), Untyped::Unknown]),
    );
    value.set_attribute(
        "named",
        Untyped::map([("a", (-5_i64).into()), ("b", Untyped::Null)]),
    );
    value.set_attribute("secret", "s3cret");

    let thing = Thing::read(&value).unwrap();
    assert!(thing.id.is_unknown() && thing.size.is_null());
    assert_eq!(thing.kind.as_deref(), Some("x"));
    assert_eq!(thing.secret.expose(), Some("s3cret"));
    assert_eq!(thing.parts.known().unwrap()[1], Value::Unknown);

    value.set_attribute("secret", Untyped::Null);
    assert_eq!(thing.write().reveal(), value.reveal());
    assert_eq!(format!("{:?}{:?}", thing.kind, thing.id), "knownunknown");
}

#[test]
fn what_does_not_fit_is_named_by_its_place() {
    let check = |name: &str, value: Untyped, expected: &str| {
        let mut thing = Thing::schema().null_object();
        thing.set_attribute(name, value);
        let error = Thing::read(&thing).err().unwrap();
        assert_eq!(error.to_string(), expected);
    };
    check(
        "size",
        (-1_i64).into(),
        "at size: a whole number from 0 to 4294967295 was expected",
    );
    check(
        "size",
        "1.5".parse::<Number>().unwrap().into(),
        "at size: a whole number from 0 to 4294967295 was expected",
    );
    check("type", true.into(), "at type: text was expected, not bool");
    check(
        "parts",
        Untyped::List(vec![Untyped::object([("there", "yes".into())])]),
        "at parts[0].there: a bool was expected, not string",
    );
    check(
        "parts",
        Untyped::List(vec![Untyped::object::<&str>([])]),
        "at parts[0]: the attribute `there` is missing",
    );
    assert!(Thing::read(&"x".into()).is_err());
}

#[test]
fn a_path_is_made_of_what_is_there() {
    let path = Thing::at().parts().index(3).there();
    assert_eq!(path, Path::of("parts").index(3).attribute("there"));
    assert_eq!(Thing::at().kind().to_string(), "type");
    assert_eq!(Thing::at().named().key("a").to_string(), r#"named["a"]"#);
    assert_eq!(Thing::at().words().element("a".into()).to_string(), "words[*]");
}

#[test]
fn a_set_drops_repetitions_but_not_what_is_unknown() {
    let set = Set(vec![
        Value::Known("a".to_owned()),
        Value::Unknown,
        Value::Known("a".to_owned()),
        Value::Unknown,
    ]);
    assert_eq!(set.write_value().elements().unwrap().len(), 3);
}

#[test]
fn a_model_in_the_state_after_it_was_wiped_holds_no_text() {
    let mut value = Untyped::object([("secret", "s3cret".into()), ("deep", Untyped::list(["s3cret"]))]);
    value.wipe();
    assert_eq!(value.reveal(), r#"{deep = [""], secret = ""}"#);
}
