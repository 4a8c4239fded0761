//! The schema check, validators, and write-only values.

use super::*;
use crate::diagnostics::Diagnostics;

#[track_caller]
fn check(attribute: Attribute, role: Role, rule: &str) {
    let found = problems(&Schema::new([attribute]), role);
    assert!(
        found.iter().any(|problem| problem.starts_with(rule)),
        "{rule} is not in {found:?}"
    );
}

#[test]
fn what_terraform_would_reject_is_found() {
    check(Attribute::string("count"), Role::Resource, "S13");
    check(Attribute::string("Upper"), Role::Resource, "S13");
    check(Attribute::string("1st"), Role::DataSource, "S13");
    check(
        Attribute::string("s").computed().write_only(),
        Role::Resource,
        "S13",
    );
    check(Attribute::string("s").write_only(), Role::DataSource, "S13");
    check(Attribute::string("s").write_only(), Role::Provider, "S13");
    check(Attribute::string("d").default("x"), Role::Provider, "S14");
    check(
        Attribute::string("d").default("x").required(),
        Role::Resource,
        "S14",
    );
    check(Attribute::string("d").default(5_i64), Role::Resource, "S14");
    check(
        Attribute::string("d").default(Value::Unknown),
        Role::Resource,
        "S14",
    );
    let set = |attribute: Attribute| Attribute::nested("set", Nesting::Set, [attribute]);
    check(set(Attribute::string("s").write_only()), Role::Resource, "S7");
    check(set(Attribute::plain("any", Type::Dynamic)), Role::Resource, "S7");
    check(set(Attribute::string("d").default("x")), Role::Resource, "S14");
    check(
        set(Attribute::string("c").optional_computed()),
        Role::Resource,
        "S16",
    );
    check(
        set(Attribute::string("d").same_if(|_, _| true)),
        Role::Resource,
        "S15",
    );
    check(
        Attribute::single("o", [Attribute::string("s").write_only()]).computed(),
        Role::Resource,
        "S13",
    );
    check(
        Attribute::single("o", [Attribute::string("a"), Attribute::string("a")]),
        Role::Resource,
        "S8",
    );
    assert_eq!(problems(&Schema::new([]).version(-1), Role::Resource).len(), 1);
    let good = Schema::new([
        Attribute::string("a").default("x"),
        Attribute::string("b").write_only(),
    ]);
    assert!(problems(&good, Role::Resource).is_empty());
}

#[test]
fn validators_name_the_rule_and_not_the_value() {
    let mut diagnostics = Diagnostics::new();
    let path = Path::of("a");
    one_of(["x", "y"]).validate(&path, &"marker".into(), &mut diagnostics);
    length(1, 3).validate(&path, &"marker".into(), &mut diagnostics);
    between(1, 3).validate(&path, &7_i64.into(), &mut diagnostics);
    size(1, 1).validate(&path, &Value::list(["marker", "marker"]), &mut diagnostics);
    let details: Vec<&str> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.detail.as_str())
        .collect();
    assert_eq!(
        details,
        [
            "The value of `a` must be one of `x`, `y`.",
            "The value of `a` must have from 1 to 3 characters.",
            "The value of `a` must be from 1 to 3.",
            "The value of `a` must have from 1 to 1 elements.",
        ]
    );
    let mut none = Diagnostics::new();
    one_of(["x"]).validate(&path, &"x".into(), &mut none);
    length(1, 3).validate(&path, &"äöü".into(), &mut none);
    between(1, 3).validate(&path, &3_i64.into(), &mut none);
    size(0, 1).validate(&path, &Value::map::<String>([]), &mut none);
    assert!(none.is_empty());
}

#[test]
fn write_only_values_are_found_and_nulled_wherever_they_stand() {
    let secret = || Attribute::string("secret").write_only();
    let schema = Schema::new([
        secret(),
        Attribute::single("one", [secret()]),
        Attribute::nested("many", Nesting::List, [secret(), Attribute::string("open")]),
        Attribute::nested("keyed", Nesting::Map, [secret()]),
    ]);
    let holder = || Value::object([("secret", Value::from("s"))]);
    let mut value = Value::object([
        ("secret", "s".into()),
        ("one", holder()),
        (
            "many",
            Value::list([Value::object([
                ("secret", Value::from("s")),
                ("open", "o".into()),
            ])]),
        ),
        ("keyed", Value::map([("k", holder())])),
    ]);
    let paths: Vec<String> = schema
        .write_only_set(&value)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        paths,
        ["secret", "one.secret", "many[0].secret", "keyed[\"k\"].secret"]
    );
    schema.null_write_only(&mut value);
    assert!(schema.write_only_set(&value).is_empty());
    assert_eq!(
        value.at(&Path::of("many").index(0).attribute("open")),
        Some(&"o".into())
    );
}

#[test]
fn paths_lead_to_attributes_through_nested_ones() {
    let schema = Schema::new([
        Attribute::single("http", [Attribute::plain("headers", Type::map(Type::String))]),
        Attribute::string("name"),
    ]);
    let name = |path: &Path| schema.at(path).map(|attribute| attribute.name.clone());
    assert_eq!(
        name(&Path::of("http").attribute("headers").key("x")),
        Some("headers".to_owned())
    );
    assert_eq!(name(&Path::of("name")), Some("name".to_owned()));
    assert_eq!(name(&Path::of("http").attribute("nothing")), None);
}
