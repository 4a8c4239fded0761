//! Each rule is broken once.

use super::*;
use crate::value::Type;

fn schema() -> Schema {
    let inner = || {
        [
            Attribute::string("a").required(),
            Attribute::string("c").computed(),
        ]
    };
    Schema::new([
        Attribute::string("id").computed(),
        Attribute::string("name"),
        Attribute::string("secret").write_only(),
        Attribute::single("one", inner()),
        Attribute::nested("list", Nesting::List, inner()),
        Attribute::nested("map", Nesting::Map, inner()),
        Attribute::nested("set", Nesting::Set, inner()),
        Attribute::plain("any", Type::Dynamic),
    ])
}

fn object(attributes: &[(&str, Value)]) -> Value {
    let mut object = schema().null_object();
    for (name, value) in attributes {
        object.set_attribute(name, value.clone());
    }
    object
}

fn inner(a: &str) -> Value {
    Value::object([("a", Value::from(a)), ("c", Value::Null)])
}

#[track_caller]
fn plan_breaks(config: &[(&str, Value)], plan: &[(&str, Value)], rule: &str, place: &str) {
    let found = plan_follows(&schema(), &Value::Null, &object(config), &object(plan));
    let found: Vec<_> = found
        .iter()
        .map(|violation| (violation.rule, violation.path.to_string()))
        .collect();
    assert_eq!(found, [(rule, place.to_owned())]);
}

#[test]
fn a_plan_that_core_would_refuse_is_found() {
    plan_breaks(&[], &[("name", "x".into())], "P9", "name");
    plan_breaks(&[("name", "x".into())], &[("name", "y".into())], "P11", "name");
    plan_breaks(&[("name", "x".into())], &[], "P11", "name");
    plan_breaks(
        &[("secret", "x".into())],
        &[("secret", "x".into())],
        "P6",
        "secret",
    );
    plan_breaks(&[("one", inner("x"))], &[], "P1", "one");
    plan_breaks(&[("one", inner("x"))], &[("one", Value::Unknown)], "P10", "one");
    plan_breaks(&[("one", inner("x"))], &[("one", inner("y"))], "P11", "one.a");
    plan_breaks(
        &[("list", Value::list([inner("x")]))],
        &[("list", Value::List(Vec::new()))],
        "P10",
        "list",
    );
    plan_breaks(
        &[("list", Value::list([inner("x")]))],
        &[("list", Value::list([inner("y")]))],
        "P11",
        "list[0].a",
    );
    plan_breaks(
        &[("map", Value::map([("k", inner("x"))]))],
        &[("map", Value::map([("l", inner("x"))]))],
        "P10",
        "map",
    );
    plan_breaks(
        &[("set", Value::Set(vec![inner("x")]))],
        &[("set", Value::Set(vec![inner("x"), inner("y")]))],
        "P10",
        "set",
    );
    plan_breaks(&[], &[("name", Value::from(true))], "P3", "name");
}

#[test]
fn what_a_plan_may_say_is_let_through() {
    let computed = Value::object([("a", Value::from("x")), ("c", Value::Unknown)]);
    let config = object(&[("name", "x".into()), ("secret", "s".into()), ("one", inner("x"))]);
    let plan = object(&[("id", Value::Unknown), ("name", "x".into()), ("one", computed)]);
    assert_eq!(plan_follows(&schema(), &Value::Null, &config, &plan), []);
    // The prior spelling, since both are there.
    let prior = object(&[("name", "X".into())]);
    let plan = object(&[("name", "X".into()), ("one", inner("x"))]);
    assert_eq!(plan_follows(&schema(), &prior, &config, &plan), []);
    assert_eq!(plan_follows(&schema(), &prior, &Value::Null, &Value::Null), []);
}

#[track_caller]
fn result_breaks(plan: &Value, result: &Value, rules: &[&str]) {
    let found: Vec<&str> = result_agrees(plan, result)
        .iter()
        .map(|violation| violation.rule)
        .collect();
    assert_eq!(found, rules);
}

#[test]
fn a_result_that_is_not_its_plan_is_found() {
    let set = |texts: &[&str]| Value::set(texts.iter().copied());
    result_breaks(&"x".into(), &"X".into(), &["A3"]);
    result_breaks(&"x".into(), &Value::Null, &["A3"]);
    result_breaks(&Value::Null, &"x".into(), &["A3"]);
    result_breaks(&Value::list(["x"]), &Value::list(["x", "y"]), &["A5"]);
    result_breaks(
        &Value::map([("k", "x".into())]),
        &Value::map([("l", "x".into())]),
        &["A5"],
    );
    result_breaks(&set(&["x"]), &set(&["x", "y"]), &["A6", "A6"]);
    result_breaks(&set(&["x", "y"]), &set(&["x"]), &["A6"]);
    result_breaks(&Value::Unknown, &"x".into(), &[]);
    result_breaks(
        &Value::Set(vec![Value::Unknown, "x".into()]),
        &set(&["x", "y"]),
        &[],
    );
}

#[test]
fn a_state_is_known_typed_and_without_secrets() {
    let rules = ["A2", "A8", "A9"];
    let broken = |attributes: &[(&str, Value)]| {
        settled(&schema(), &object(attributes), rules)
            .iter()
            .map(|violation| violation.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(broken(&[]), [""; 0]);
    assert_eq!(broken(&[("name", true.into())]), ["A2"]);
    assert_eq!(broken(&[("name", Value::Unknown)]), ["A8"]);
    assert_eq!(broken(&[("secret", "x".into())]), ["A9"]);
}

#[test]
fn a_report_is_one_error_that_names_all() {
    let mut diagnostics = Diagnostics::new();
    let path = Path::of("name");
    let violations = [
        Violation::new("A3", &path, "it is wrong"),
        Violation::new("A8", &Path::root(), "it is odd"),
    ];
    report("kennel_dog", "created", &violations, &mut diagnostics);
    let only = diagnostics.iter().next().unwrap();
    assert_eq!(only.path, Some(path));
    assert!(
        only.detail
            .contains("- A3: `name`: it is wrong.\n- A8: the value as a whole: it is odd.")
    );
}
