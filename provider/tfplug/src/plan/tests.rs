//! The pipeline, on a schema with an attribute of every interesting sort.

use proptest::prelude::*;

use super::*;
use crate::{conformance::rules, value::Type};

fn schema() -> Schema {
    Schema::new([
        Attribute::string("id").computed(),
        Attribute::string("revision").computed().changes_on_update(),
        Attribute::string("token").computed().keep_prior_non_null(),
        Attribute::string("name").required().requires_replace(),
        Attribute::string("mood").default("calm"),
        Attribute::string("nap").same_if(|a, b| {
            let letters = |value: &Value| value.as_str().map(str::to_lowercase);
            letters(a) == letters(b)
        }),
        Attribute::string("secret").write_only(),
        Attribute::single(
            "collar",
            [
                Attribute::string("color").required().requires_replace(),
                Attribute::number("holes").default(5_i64),
                Attribute::string("serial").computed(),
            ],
        ),
        Attribute::nested(
            "toys",
            Nesting::List,
            [
                Attribute::string("kind").required(),
                Attribute::string("mark").computed(),
            ],
        ),
        Attribute::nested(
            "friends",
            Nesting::Set,
            [
                Attribute::string("name").required().requires_replace(),
                Attribute::string("since").computed(),
            ],
        ),
        Attribute::plain("tags", Type::map(Type::String)),
    ])
}

/// An object of the schema: these attributes, the rest null.
fn object(attributes: &[(&str, Value)]) -> Value {
    let mut object = schema().null_object();
    for (name, value) in attributes {
        object.set_attribute(name, value.clone());
    }
    object
}

/// The merge that core makes before it asks for a plan, as far as these tests need it.
fn propose(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    let Value::Object(config) = config else {
        return config.clone();
    };
    Value::object(attributes.iter().map(|attribute| {
        let configured = entry(Some(config), &attribute.name);
        let before = prior.get(&attribute.name);
        let value = match (&attribute.kind, configured) {
            _ if configured.is_null() && attribute.is_computed() => before.clone(),
            (Kind::Nested(Nesting::Single, inner), Value::Object(_)) => propose(inner, before, configured),
            (Kind::Nested(Nesting::List, inner), Value::List(elements)) => Value::List(
                elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| {
                        let step = Step::Index(index as u64);
                        propose(inner, child(before, Some(&step)), element)
                    })
                    .collect(),
            ),
            (Kind::Nested(Nesting::Set, inner), Value::Set(elements)) => {
                let found = |element: &Value| {
                    let same = |prior: &&Value| prior.get("name") == element.get("name");
                    before
                        .elements()
                        .and_then(|elements| elements.iter().find(same))
                        .unwrap_or(&Value::Null)
                };
                Value::Set(
                    elements
                        .iter()
                        .map(|element| propose(inner, found(element), element))
                        .collect(),
                )
            }
            _ => configured.clone(),
        };
        (attribute.name.clone(), value)
    }))
}

fn plan(prior: &Value, config: &Value) -> Value {
    let schema = schema();
    let mut diagnostics = Diagnostics::new();
    let proposed = propose(&schema.attributes, prior, config);
    let plan = prepare(&schema, prior, config, proposed, &mut diagnostics);
    assert!(diagnostics.is_empty());
    assert_eq!(rules::plan_follows(&schema, prior, config, &plan), []);
    plan
}

#[track_caller]
fn check(prior: &Value, config: &Value, expected: &Value) {
    let plan = plan(prior, config);
    assert_eq!(plan.reveal(), expected.reveal());
}

fn created() -> Value {
    object(&[
        ("id", "1".into()),
        ("revision", "r".into()),
        ("name", "rex".into()),
        ("mood", "calm".into()),
        ("nap", "Noon".into()),
        (
            "collar",
            Value::object([
                ("color", "red".into()),
                ("holes", Value::from(5_i64)),
                ("serial", "s".into()),
            ]),
        ),
    ])
}

fn configured(change: &[(&str, Value)]) -> Value {
    let mut config = object(&[
        ("name", "rex".into()),
        ("nap", "noon".into()),
        ("secret", "s3cret".into()),
        (
            "collar",
            Value::object([
                ("color", "red".into()),
                ("holes", Value::Null),
                ("serial", Value::Null),
            ]),
        ),
    ]);
    for (name, value) in change {
        config.set_attribute(name, value.clone());
    }
    config
}

fn with(base: &Value, change: &[(&str, Value)]) -> Value {
    let mut value = base.clone();
    for (name, changed) in change {
        value.set_attribute(name, changed.clone());
    }
    value
}

#[test]
fn a_new_resource_has_its_defaults_and_its_computed_values_unknown() {
    let collar = Value::object([
        ("color", "red".into()),
        ("holes", Value::from(5_i64)),
        ("serial", Value::Unknown),
    ]);
    let expected = object(&[
        ("id", Value::Unknown),
        ("revision", Value::Unknown),
        ("token", Value::Unknown),
        ("name", "rex".into()),
        ("mood", "calm".into()),
        ("nap", "noon".into()),
        ("collar", collar),
    ]);
    check(&Value::Null, &configured(&[]), &expected);
}

#[test]
fn a_secret_and_another_spelling_are_no_change() {
    check(&created(), &configured(&[]), &created());
    check(
        &created(),
        &configured(&[("secret", "another".into())]),
        &created(),
    );
}

#[test]
fn an_update_changes_what_is_declared_to_change_and_nothing_else() {
    let config = configured(&[("mood", "wild".into())]);
    let expected = with(
        &created(),
        &[
            ("mood", "wild".into()),
            ("revision", Value::Unknown),
            ("token", Value::Unknown),
        ],
    );
    check(&created(), &config, &expected);
}

#[test]
fn a_default_comes_back_when_its_attribute_is_removed() {
    let prior = with(&created(), &[("mood", "wild".into())]);
    assert_eq!(plan(&prior, &configured(&[])).get("mood"), &"calm".into());
}

#[test]
fn new_elements_have_unknown_computed_values_and_old_ones_keep_theirs() {
    let toy = |kind: &str, mark: Value| Value::object([("kind", kind.into()), ("mark", mark)]);
    let prior = with(&created(), &[("toys", Value::list([toy("ball", "m".into())]))]);
    let config = configured(&[(
        "toys",
        Value::list([toy("ball", Value::Null), toy("bone", Value::Null)]),
    )]);
    let expected = Value::list([toy("ball", "m".into()), toy("bone", Value::Unknown)]);
    assert_eq!(plan(&prior, &config).get("toys").reveal(), expected.reveal());

    let friend = |name: &str, since: Value| Value::object([("name", name.into()), ("since", since)]);
    let prior = with(
        &created(),
        &[("friends", Value::Set(vec![friend("bo", "1".into())]))],
    );
    let config = configured(&[(
        "friends",
        Value::Set(vec![friend("al", Value::Null), friend("bo", Value::Null)]),
    )]);
    let expected = Value::Set(vec![friend("al", Value::Unknown), friend("bo", "1".into())]);
    assert_eq!(plan(&prior, &config).get("friends").reveal(), expected.reveal());
    assert_eq!(replaced(&prior, &config), ["friends"]);
}

#[test]
fn an_object_that_appears_or_is_unknown_is_planned_as_such() {
    let prior = with(&created(), &[("collar", Value::Null)]);
    assert_eq!(
        plan(&prior, &configured(&[])).get("collar").get("serial"),
        &Value::Unknown
    );
    assert_eq!(
        plan(&created(), &configured(&[("collar", Value::Unknown)])).get("collar"),
        &Value::Unknown
    );
    assert_eq!(
        plan(&created(), &configured(&[("collar", Value::Null)])).get("collar"),
        &Value::Null
    );
}

fn replaced(prior: &Value, config: &Value) -> Vec<String> {
    let plan = plan(prior, config);
    replacements(&schema(), prior, config, &plan)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn replacement_is_asked_for_where_it_is_declared() {
    let none: [&str; 0] = [];
    assert_eq!(replaced(&created(), &configured(&[])), none);
    assert_eq!(
        replaced(&created(), &configured(&[("mood", "wild".into())])),
        none
    );
    assert_eq!(replaced(&Value::Null, &configured(&[])), none);
    let collar = Value::object([
        ("color", "blue".into()),
        ("holes", Value::Null),
        ("serial", Value::Null),
    ]);
    assert_eq!(
        replaced(
            &created(),
            &configured(&[("name", "bo".into()), ("collar", collar)])
        ),
        ["collar.color", "name"]
    );
    assert_eq!(
        replaced(&created(), &configured(&[("name", Value::Unknown)])),
        ["name"]
    );

    let rule = Schema::new([Attribute::number("size")
        .requires_replace_if(|question| question.plan.as_number() < question.prior.as_number())]);
    let sized = |size: i64| Value::object([("size", Value::from(size))]);
    assert_eq!(replacements(&rule, &sized(5), &sized(4), &sized(4)).len(), 1);
    assert_eq!(replacements(&rule, &sized(5), &sized(6), &sized(6)).len(), 0);
}

#[test]
fn modifiers_see_prior_configuration_and_plan() {
    let schema = Schema::new([Attribute::single(
        "inner",
        [Attribute::string("size")
            .optional_computed()
            .modify(|change, diagnostics| {
                assert_eq!(change.path.to_string(), "inner.size");
                if change.config.is_null() && !change.prior.is_null() {
                    *change.plan = "chosen".into();
                    diagnostics.attribute_warning(change.path.clone(), "Chosen", "It was chosen.");
                }
            })],
    )]);
    let of = |size: Value| Value::object([("inner", Value::object([("size", size)]))]);
    let mut diagnostics = Diagnostics::new();
    let plan = prepare(
        &schema,
        &of("old".into()),
        &of(Value::Null),
        of("old".into()),
        &mut diagnostics,
    );
    assert_eq!(plan.reveal(), of("chosen".into()).reveal());
    assert_eq!(diagnostics.iter().count(), 1);
}

fn any_config() -> impl Strategy<Value = Value> {
    fn text() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(Value::Unknown),
            "[a-c]{1,2}".prop_map(Value::from),
            "[A-C]{1,2}".prop_map(Value::from)
        ]
    }
    let needed = || prop_oneof![4 => "[a-c]".prop_map(Value::from), 1 => Just(Value::Unknown)];
    let holes = prop_oneof![Just(Value::Null), (0_i64..3).prop_map(Value::from)];
    let collar = prop_oneof![
        1 => Just(Value::Null),
        1 => Just(Value::Unknown),
        4 => (needed(), holes).prop_map(|(color, holes)| {
            Value::object([("color", color), ("holes", holes), ("serial", Value::Null)])
        }),
    ];
    let toy = needed().prop_map(|kind| Value::object([("kind", kind), ("mark", Value::Null)]));
    let toys = prop_oneof![
        Just(Value::Null),
        prop::collection::vec(toy, 0..3).prop_map(Value::List)
    ];
    (needed(), text(), text(), text(), collar, toys).prop_map(|(name, mood, nap, secret, collar, toys)| {
        object(&[
            ("name", name),
            ("mood", mood),
            ("nap", nap),
            ("secret", secret),
            ("collar", collar),
            ("toys", toys),
        ])
    })
}

/// What an honest provider would return for a plan: each unknown becomes some text.
fn realize(value: &Value) -> Value {
    match value {
        Value::Unknown => "new".into(),
        Value::List(elements) => Value::List(elements.iter().map(realize).collect()),
        Value::Object(entries) => Value::object(entries.iter().map(|(name, entry)| {
            let known = if name == "collar" && entry.is_unknown() {
                Value::Null
            } else {
                realize(entry)
            };
            (name.clone(), known)
        })),
        other => other.clone(),
    }
}

proptest! {
    /// Whatever is configured, and whatever was there before, the plan is one that core accepts; what is made of it
    /// agrees with it; and planning the same again changes nothing.
    #[test]
    fn plans_follow_the_rules_and_settle(first in any_config(), second in any_config()) {
        let schema = schema();
        let created = realize(&plan(&Value::Null, &first));
        let planned = plan(&created, &second);
        prop_assert_eq!(&plan(&created, &second), &planned);
        let updated = realize(&planned);
        prop_assert_eq!(rules::result_agrees(&planned, &updated), []);
        if second.is_wholly_known() {
            let settled = plan(&updated, &second);
            prop_assert!(settled == updated, "{} became {}", updated.reveal(), settled.reveal());
            prop_assert!(replacements(&schema, &updated, &second, &settled).is_empty());
        }
    }
}
