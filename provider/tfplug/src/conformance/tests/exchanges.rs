//! Each check of messages, on an answer that is right and on answers that are not.

use crate::{
    conformance::{
        Violation,
        exchange::{self, Contract},
        identity_from_wire, schema_from_wire,
    },
    schema::{Attribute, Nesting, Schema},
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

fn contract() -> Contract {
    Contract {
        schema: Schema::new([
            Attribute::string("id").computed(),
            Attribute::string("a").required(),
            Attribute::string("secret").write_only(),
            Attribute::nested("parts", Nesting::List, [Attribute::string("x")]),
        ]),
        identity: Some(Type::object([("id", Type::String)])),
    }
}

fn thing(id: Value, a: Value, secret: Value) -> Option<wire::DynamicValue> {
    let value = Value::object([("id", id), ("a", a), ("secret", secret), ("parts", Value::Null)]);
    encode(&value, &contract().schema.ty())
}

#[expect(clippy::unnecessary_wraps, reason = "messages hold it so")]
fn encode(value: &Value, ty: &Type) -> Option<wire::DynamicValue> {
    Some(wire::DynamicValue {
        msgpack: value.to_msgpack(ty).unwrap().into(),
        ..Default::default()
    })
}

fn null() -> Option<wire::DynamicValue> {
    encode(&Value::Null, &Type::Bool)
}

#[expect(clippy::unnecessary_wraps, reason = "messages hold it so")]
fn identity(id: Value) -> Option<wire::ResourceIdentityData> {
    Some(wire::ResourceIdentityData {
        identity_data: encode(&Value::object([("id", id)]), &contract().identity.unwrap()),
    })
}

#[track_caller]
fn breaks(found: &[Violation], expected: &[&str]) {
    let rules: Vec<_> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, expected, "{found:?}");
}

#[test]
fn plans() {
    let request = wire::plan_resource_change::Request {
        prior_state: null(),
        config: thing(Value::Null, "x".into(), "s".into()),
        proposed_new_state: thing(Value::Null, "x".into(), "s".into()),
        ..Default::default()
    };
    let honest = wire::plan_resource_change::Response {
        planned_state: thing(Value::Unknown, "x".into(), Value::Null),
        planned_identity: identity(Value::Unknown),
        ..Default::default()
    };
    let check = |change: &dyn Fn(&mut wire::plan_resource_change::Response), expected: &[&str]| {
        let mut response = honest.clone();
        change(&mut response);
        breaks(&exchange::plan(&contract(), &request, &response), expected);
    };
    check(&|_| {}, &[]);
    check(&|plan| plan.planned_state = null(), &["P1"]);
    check(
        &|plan| plan.planned_state = encode(&"x".into(), &Type::String),
        &["P3"],
    );
    check(
        &|plan| plan.planned_state = thing(Value::Unknown, "y".into(), Value::Null),
        &["P11"],
    );
    check(
        &|plan| plan.planned_state = thing(Value::Unknown, "x".into(), "s".into()),
        &["P6", "P6"],
    );
    check(&|plan| plan.legacy_type_system = true, &["P3"]);
    check(&|plan| plan.deferred = Some(wire::Deferred::default()), &["P15"]);
    check(&|plan| plan.planned_identity = None, &[]);
    check(&|plan| plan.planned_identity = identity(Value::Null), &["X3"]);

    let prior = thing("1".into(), "x".into(), Value::Null);
    let update = wire::plan_resource_change::Request {
        prior_state: prior.clone(),
        prior_private: b"{}".to_vec(),
        prior_identity: identity("1".into()),
        ..request
    };
    let mut response = wire::plan_resource_change::Response {
        planned_state: prior.clone(),
        planned_private: b"{}".to_vec(),
        planned_identity: identity("1".into()),
        ..honest
    };
    breaks(&exchange::plan(&contract(), &update, &response), &[]);
    response.planned_identity = None;
    breaks(&exchange::plan(&contract(), &update, &response), &["P14"]);
    response.planned_private.clear();
    response.planned_identity = identity("2".into());
    breaks(&exchange::plan(&contract(), &update, &response), &["X3", "X4"]);
    response.requires_replace = vec![wire::AttributePath {
        steps: vec![wire::attribute_path::Step {
            selector: Some(wire::attribute_path::step::Selector::AttributeName(
                "nowhere".to_owned(),
            )),
        }],
    }];
    breaks(&exchange::plan(&contract(), &update, &response), &["P13", "X4"]);
    let deletion = wire::plan_resource_change::Request {
        proposed_new_state: null(),
        config: null(),
        ..update
    };
    breaks(&exchange::plan(&contract(), &deletion, &response), &["P2"]);
    let (first, second) = (Value::from("a"), Value::from("b"));
    breaks(&exchange::replan(&first, &second), &["Q2"]);
}

#[test]
fn results_and_reads() {
    let request = wire::apply_resource_change::Request {
        planned_state: thing(Value::Unknown, "x".into(), Value::Null),
        ..Default::default()
    };
    let apply = |new_state, new_identity| {
        let response = wire::apply_resource_change::Response {
            new_state,
            new_identity,
            ..Default::default()
        };
        exchange::apply(&contract(), &request, &response)
    };
    let named = || identity("1".into());
    breaks(&apply(thing("1".into(), "x".into(), Value::Null), named()), &[]);
    breaks(&apply(null(), named()), &["A10"]);
    breaks(&apply(encode(&true.into(), &Type::Bool), named()), &["A2"]);
    breaks(
        &apply(thing("1".into(), "y".into(), Value::Null), named()),
        &["A3"],
    );
    breaks(
        &apply(thing(Value::Unknown, "x".into(), Value::Null), named()),
        &["A8"],
    );
    breaks(
        &apply(thing("1".into(), "x".into(), "s".into()), named()),
        &["A9", "A3"],
    );
    breaks(&apply(thing("1".into(), "x".into(), Value::Null), None), &["A12"]);
    let deletion = wire::apply_resource_change::Request {
        planned_state: null(),
        ..Default::default()
    };
    let left = wire::apply_resource_change::Response {
        new_state: thing("1".into(), "x".into(), Value::Null),
        ..Default::default()
    };
    breaks(&exchange::apply(&contract(), &deletion, &left), &["A10"]);

    let request = wire::read_resource::Request {
        current_identity: named(),
        ..Default::default()
    };
    let read = |new_state, new_identity| {
        let response = wire::read_resource::Response {
            new_state,
            new_identity,
            ..Default::default()
        };
        exchange::read(&contract(), &request, &response)
    };
    breaks(&read(null(), None), &[]);
    breaks(&read(thing("1".into(), "x".into(), Value::Null), named()), &[]);
    breaks(
        &read(thing("1".into(), Value::Unknown, Value::Null), named()),
        &["R2"],
    );
    breaks(&read(thing("1".into(), "x".into(), "s".into()), named()), &["R3"]);
    breaks(&read(encode(&true.into(), &Type::Bool), named()), &["R1"]);
    breaks(
        &read(thing("1".into(), "x".into(), Value::Null), identity("2".into())),
        &["X3"],
    );
    breaks(&read(thing("1".into(), "x".into(), Value::Null), None), &["R4"]);
}

#[test]
fn what_is_stored() {
    let upgraded = |state| {
        let response = wire::upgrade_resource_state::Response {
            upgraded_state: state,
            ..Default::default()
        };
        exchange::upgrade(&contract(), &response)
    };
    breaks(&upgraded(thing("1".into(), "x".into(), Value::Null)), &[]);
    breaks(&upgraded(thing(Value::Unknown, "x".into(), Value::Null)), &["U1"]);
    breaks(&upgraded(encode(&true.into(), &Type::Bool)), &["U2"]);
    breaks(&upgraded(thing("1".into(), "x".into(), "s".into())), &["U3"]);

    let request = wire::import_resource_state::Request {
        type_name: "thing".to_owned(),
        identity: identity("1".into()),
        ..Default::default()
    };
    let import = |resources: Vec<wire::import_resource_state::ImportedResource>| {
        let response = wire::import_resource_state::Response {
            imported_resources: resources,
            ..Default::default()
        };
        exchange::import(&contract(), &request, &response)
    };
    let one = wire::import_resource_state::ImportedResource {
        type_name: "thing".to_owned(),
        state: thing("1".into(), Value::Null, Value::Null),
        identity: identity("1".into()),
        ..Default::default()
    };
    breaks(&import(vec![one.clone()]), &[]);
    breaks(&import(vec![one.clone(), one.clone()]), &["I1"]);
    let other = wire::import_resource_state::ImportedResource {
        type_name: "other".to_owned(),
        state: thing("1".into(), Value::Null, "s".into()),
        identity: None,
        ..one.clone()
    };
    breaks(&import(vec![other]), &["I2", "I3", "I5"]);
    breaks(
        &import(vec![wire::import_resource_state::ImportedResource {
            state: null(),
            ..one
        }]),
        &["I4"],
    );

    let moved = |state, target_identity| {
        let response = wire::move_resource_state::Response {
            target_state: state,
            target_identity,
            ..Default::default()
        };
        exchange::take_over(&contract(), &response)
    };
    breaks(
        &moved(thing("1".into(), "x".into(), Value::Null), identity("1".into())),
        &[],
    );
    breaks(
        &moved(thing(Value::Unknown, "x".into(), Value::Null), None),
        &["M1", "M3"],
    );
    breaks(
        &moved(
            thing("1".into(), "x".into(), "s".into()),
            identity(Value::Unknown),
        ),
        &["M2", "P14"],
    );
    breaks(&moved(None, identity("1".into())), &["M4"]);

    let generated = |config| {
        let response = wire::generate_resource_config::Response {
            config,
            ..Default::default()
        };
        exchange::generated(&contract().schema, &response)
    };
    breaks(&generated(thing(Value::Null, "x".into(), Value::Null)), &[]);
    breaks(
        &generated(thing("1".into(), Value::Null, "s".into())),
        &["G1", "G1", "G1"],
    );
}

#[test]
fn data_sources_ephemeral_resources_and_lists() {
    let schema = contract().schema;
    let read = |state| {
        let response = wire::read_data_source::Response {
            state,
            ..Default::default()
        };
        exchange::data_source(&schema, &response)
    };
    breaks(&read(thing("1".into(), "x".into(), Value::Null)), &[]);
    breaks(&read(encode(&true.into(), &Type::Bool)), &["D1"]);
    breaks(&read(null()), &["D2"]);
    breaks(&read(thing(Value::Unknown, "x".into(), Value::Null)), &["D3"]);

    let request = wire::open_ephemeral_resource::Request {
        config: thing(Value::Null, "x".into(), Value::Null),
        ..Default::default()
    };
    let open = |result| {
        let response = wire::open_ephemeral_resource::Response {
            result,
            ..Default::default()
        };
        exchange::open(&schema, &request, &response)
    };
    breaks(&open(thing("1".into(), "x".into(), Value::Null)), &[]);
    breaks(
        &open(thing(Value::Unknown, "y".into(), Value::Null)),
        &["P11", "E1"],
    );

    let list = |event: &wire::list_resource::Event, whole| exchange::listed(&contract(), event, whole);
    let mut event = wire::list_resource::Event {
        identity: identity("1".into()),
        ..Default::default()
    };
    breaks(&list(&event, false), &[]);
    breaks(&list(&event, true), &["L2"]);
    event.identity = None;
    breaks(&list(&event, false), &["L1"]);
    event.resource_object = thing(Value::Unknown, "x".into(), Value::Null);
    breaks(&list(&event, true), &["L1", "L2"]);
    breaks(&exchange::keeps_secrets(&event, &["nowhere".to_owned()]), &[]);
    event.display_name = "is nowhere".to_owned();
    breaks(&exchange::keeps_secrets(&event, &["nowhere".to_owned()]), &["X5"]);
}

#[test]
fn schemas() {
    let check = |attribute: wire::schema::Attribute, expected: &[&str]| {
        let schema = wire::Schema {
            version: 0,
            block: Some(wire::schema::Block {
                attributes: vec![attribute],
                ..Default::default()
            }),
        };
        breaks(&schema_from_wire(&schema).err().unwrap_or_default(), expected);
    };
    let good = wire::schema::Attribute {
        name: "a".to_owned(),
        r#type: b"\"string\"".to_vec(),
        optional: true,
        ..Default::default()
    };
    check(good.clone(), &[]);
    let with = |change: &dyn Fn(&mut wire::schema::Attribute)| {
        let mut attribute = good.clone();
        change(&mut attribute);
        attribute
    };
    check(with(&|attribute| attribute.optional = false), &["S1"]);
    check(with(&|attribute| attribute.required = true), &["S2"]);
    check(
        with(&|attribute| (attribute.optional, attribute.required, attribute.computed) = (false, true, true)),
        &["S3"],
    );
    check(
        with(&|attribute| attribute.deprecation_message = "no".to_owned()),
        &["S4"],
    );
    check(with(&|attribute| attribute.r#type.clear()), &["S5"]);
    check(with(&|attribute| attribute.r#type = b"{".to_vec()), &["S5"]);
    check(
        with(&|attribute| {
            attribute.r#type.clear();
            attribute.nested_type = Some(wire::schema::Object::default());
        }),
        &["S6"],
    );
    check(
        with(&|attribute| (attribute.write_only, attribute.computed) = (true, true)),
        &["S13"],
    );
    let identity = wire::ResourceIdentitySchema {
        version: 0,
        identity_attributes: vec![wire::resource_identity_schema::IdentityAttribute {
            name: "id".to_owned(),
            r#type: b"[\"map\",\"string\"]".to_vec(),
            ..Default::default()
        }],
    };
    breaks(&identity_from_wire(&identity).unwrap_err(), &["S10", "S10"]);
}
