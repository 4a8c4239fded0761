//! What is stored, or is to be: upgrades, moves, imports, identities, generated configuration.

use tfplug::{
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

use crate::{
    host::{decode, encode},
    provider::{Kennel, dog, dog_type, summaries},
};

fn identity_type() -> Type {
    Type::object([("id", Type::String), ("kennel", Type::String)])
}

fn identity(id: &str) -> wire::ResourceIdentityData {
    let value = Value::object([("id", id.into()), ("kennel", "main".into())]);
    wire::ResourceIdentityData {
        identity_data: encode(&value, &identity_type()),
    }
}

fn read_identity(data: Option<&wire::ResourceIdentityData>) -> String {
    decode(data.unwrap().identity_data.as_ref(), &identity_type()).reveal()
}

fn raw(json: &[u8]) -> wire::RawState {
    wire::RawState {
        json: json.to_vec(),
        ..Default::default()
    }
}

#[tokio::test]
async fn stored_state_is_upgraded() {
    let mut kennel = Kennel::start().await;
    let mut upgrade = async |json: &[u8], version| {
        let request = wire::upgrade_resource_state::Request {
            type_name: "kennel_dog".to_owned(),
            version,
            raw_state: Some(raw(json)),
        };
        kennel
            .client
            .upgrade_resource_state(request)
            .await
            .unwrap()
            .into_inner()
    };
    let current = upgrade(br#"{"id":"rex","name":"Rex","gone":[1],"chip":"left behind"}"#, 2).await;
    let state = decode(current.upgraded_state.as_ref(), &dog_type());
    assert!(state.get("chip").is_null());
    let older = upgrade(br#"{"name":"Rex"}"#, 0).await;
    let state = decode(older.upgraded_state.as_ref(), &dog_type());
    assert_eq!(state.get("id"), &"rex".into());
    for (json, version, words) in [
        (&b"{}"[..], 7, "State cannot be upgraded"),
        (b"[]", 1, "State cannot be read"),
        (b"[]", 2, "State cannot be read"),
        (b"", 0, "State cannot be read"),
    ] {
        assert_eq!(summaries(&upgrade(json, version).await.diagnostics), [words]);
    }
}

#[tokio::test]
async fn imports_find_by_id_and_by_identity() {
    let mut kennel = Kennel::start().await;
    kennel.create(&dog(&[("name", "Rex".into())])).await;
    let mut import = async |id: &str, identity| {
        let request = wire::import_resource_state::Request {
            type_name: "kennel_dog".to_owned(),
            id: id.to_owned(),
            identity,
            ..Default::default()
        };
        kennel
            .client
            .import_resource_state(request)
            .await
            .unwrap()
            .into_inner()
    };
    for imported in [import("rex", None).await, import("", Some(identity("rex"))).await] {
        let [only] = imported.imported_resources.as_slice() else {
            panic!("{:?}", imported.diagnostics)
        };
        assert_eq!(decode(only.state.as_ref(), &dog_type()).get("id"), &"rex".into());
        assert_eq!(
            read_identity(only.identity.as_ref()),
            r#"{id = "rex", kennel = "main"}"#
        );
    }
    let nobody = [
        import("nobody", None).await,
        import("", Some(identity("nobody"))).await,
    ];
    for none in nobody {
        assert_eq!(summaries(&none.diagnostics), ["Nothing to import"]);
    }
    let puppy = wire::import_resource_state::Request {
        type_name: "kennel_puppy".to_owned(),
        id: "bo".to_owned(),
        ..Default::default()
    };
    let refused = kennel
        .client
        .import_resource_state(puppy)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(summaries(&refused.diagnostics), ["Import is not supported"]);
}

#[tokio::test]
async fn another_type_is_taken_over() {
    let mut kennel = Kennel::start().await;
    let mut take_over = async |source: &str, target: &str| {
        let request = wire::move_resource_state::Request {
            source_provider_address: "registry.terraform.io/example/kennel".to_owned(),
            source_type_name: source.to_owned(),
            source_state: Some(raw(br#"{"id":"bo"}"#)),
            target_type_name: target.to_owned(),
            ..Default::default()
        };
        kennel
            .client
            .move_resource_state(request)
            .await
            .unwrap()
            .into_inner()
    };
    let moved = take_over("kennel_puppy", "kennel_dog").await;
    assert_eq!(moved.diagnostics, []);
    assert_eq!(
        decode(moved.target_state.as_ref(), &dog_type()).get("name"),
        &"bo".into()
    );
    assert_eq!(
        read_identity(moved.target_identity.as_ref()),
        r#"{id = "bo", kennel = "main"}"#
    );
    assert_eq!(moved.target_private, br#"{"reads":0}"#);
    for (source, target) in [("kennel_cat", "kennel_dog"), ("kennel_dog", "kennel_puppy")] {
        let refused = take_over(source, target).await;
        assert_eq!(summaries(&refused.diagnostics), ["Move is not supported"]);
        assert_eq!(refused.target_state, None);
    }
}

#[tokio::test]
async fn identities_have_schemas_and_are_upgraded() {
    let mut kennel = Kennel::start().await;
    let schemas = kennel
        .client
        .get_resource_identity_schemas(wire::get_resource_identity_schemas::Request {})
        .await
        .unwrap()
        .into_inner()
        .identity_schemas;
    let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
    assert_eq!(names, ["kennel_dog"]);
    let schema = &schemas["kennel_dog"];
    assert_eq!(schema.version, 1);
    let [id, kennel_name] = schema.identity_attributes.as_slice() else {
        panic!("{schema:?}")
    };
    assert!(id.required_for_import && !id.optional_for_import);
    assert!(!kennel_name.required_for_import && kennel_name.optional_for_import);
    assert_eq!(
        (id.r#type.as_slice(), id.description.as_str()),
        (&b"\"string\""[..], "The dog's id.")
    );

    let mut upgrade = async |type_name: &str, json: &[u8], version| {
        let request = wire::upgrade_resource_identity::Request {
            type_name: type_name.to_owned(),
            version,
            raw_identity: Some(raw(json)),
        };
        kennel
            .client
            .upgrade_resource_identity(request)
            .await
            .unwrap()
            .into_inner()
    };
    for (json, version) in [
        (&br#"{"name":"Rex"}"#[..], 0),
        (br#"{"id":"rex","kennel":"main"}"#, 1),
    ] {
        let upgraded = upgrade("kennel_dog", json, version).await;
        assert_eq!(
            read_identity(upgraded.upgraded_identity.as_ref()),
            r#"{id = "rex", kennel = "main"}"#
        );
    }
    let none = upgrade("kennel_puppy", b"{}", 0).await;
    assert_eq!(summaries(&none.diagnostics), ["Identity is not supported"]);
}

#[tokio::test]
async fn an_identity_is_planned_made_and_never_changed() {
    let mut kennel = Kennel::start().await;
    let config = dog(&[("name", "Rex".into())]);
    let planned = kennel.plan(&Value::Null, &config, &config).await;
    // Its id is not known yet, and a plan with half an identity cannot be shown as JSON.
    assert_eq!(planned.planned_identity, None);
    let plan = decode(planned.planned_state.as_ref(), &kennel.ty);
    let created = kennel.apply(&Value::Null, &config, &plan).await;
    assert_eq!(
        read_identity(created.new_identity.as_ref()),
        r#"{id = "rex", kennel = "main"}"#
    );

    let state = decode(created.new_state.as_ref(), &kennel.ty);
    let mut read = async |current_identity, private: &[u8]| {
        let request = wire::read_resource::Request {
            type_name: "kennel_dog".to_owned(),
            current_state: encode(&state, &dog_type()),
            current_identity,
            private: private.to_vec(),
            ..Default::default()
        };
        kennel.client.read_resource(request).await.unwrap().into_inner()
    };
    // None yet, as after an older version of the provider: it is filled in. Another one is an error.
    let filled = read(None, br#"{"reads":4}"#).await;
    assert_eq!(
        read_identity(filled.new_identity.as_ref()),
        r#"{id = "rex", kennel = "main"}"#
    );
    assert_eq!(filled.private, br#"{"reads":5}"#);
    let changed = read(Some(identity("bo")), b"of somebody else").await;
    assert!(
        changed.diagnostics[0].detail.contains("X3"),
        "{:?}",
        changed.diagnostics
    );
    assert_eq!(changed.new_identity, Some(identity("bo")));
    assert_eq!(changed.private, b"of somebody else");
    // The read after an import may complete it.
    let imported = read(Some(identity("re")), br#"{".imported":true}"#).await;
    assert_eq!(
        (imported.diagnostics.len(), imported.private.as_slice()),
        (0, &b""[..])
    );
}

#[tokio::test]
async fn a_configuration_is_generated_that_plans_nothing() {
    let mut kennel = Kennel::start().await;
    let state = dog(&[
        ("id", "rex".into()),
        ("name", "Rex".into()),
        ("mood", "calm".into()),
        ("weight", 30_i64.into()),
        ("nap", "1h".into()),
        ("alias", "R".into()),
        ("chip_length", 5_i64.into()),
        (
            "collar",
            Value::object([
                ("color", "red".into()),
                ("holes", 7_i64.into()),
                ("serial", "s".into()),
            ]),
        ),
    ]);
    let request = wire::generate_resource_config::Request {
        type_name: "kennel_dog".to_owned(),
        state: encode(&state, &kennel.ty),
    };
    let answer = kennel
        .client
        .generate_resource_config(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.diagnostics, []);
    let collar = Value::object([
        ("color", "red".into()),
        ("holes", 7_i64.into()),
        ("serial", Value::Null),
    ]);
    let expected = dog(&[("name", "Rex".into()), ("nap", "1h".into()), ("collar", collar)]);
    assert_eq!(
        decode(answer.config.as_ref(), &kennel.ty).reveal(),
        expected.reveal()
    );
}
