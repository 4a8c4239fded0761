//! What the server answers when the author's code does well, and when it does not.

use std::time::Duration;

use tfplug::{
    value::{Type, Value},
    wire::tfplugin6::{self as wire, provider_client::ProviderClient},
};

use crate::host::{CAPABILITIES, Host, Link, client, decode, encode};

pub(crate) struct Kennel {
    pub(crate) host: Host,
    pub(crate) client: ProviderClient<Link>,
    pub(crate) ty: Type,
}

/// The type of a dog, as the provider's schema says it.
pub(crate) fn dog_type() -> Type {
    let collar = Type::object([
        ("color", Type::String),
        ("holes", Type::Number),
        ("serial", Type::String),
    ]);
    Type::object([
        ("id", Type::String),
        ("name", Type::String),
        ("weight", Type::Number),
        ("tricks", Type::set(Type::String)),
        ("mood", Type::String),
        ("nap", Type::String),
        ("collar", collar),
        ("toys", Type::map(Type::object([("squeaks", Type::Bool)]))),
        ("anything", Type::Dynamic),
        ("chip", Type::String),
        ("chip_ref", Type::String),
        ("chip_length", Type::Number),
        ("trick", Type::String),
        ("alias", Type::String),
        (
            "timeouts",
            Type::object(["create", "read", "update", "delete"].map(|name| (name, Type::String))),
        ),
    ])
}

pub(crate) fn dog(attributes: &[(&str, Value)]) -> Value {
    let Type::Object(names) = dog_type() else {
        return Value::Null;
    };
    let mut dog = Value::object(names.keys().map(|name| (name.clone(), Value::Null)));
    for (name, value) in attributes {
        dog.set_attribute(name, value.clone());
    }
    dog
}

pub(crate) fn summaries(diagnostics: &[wire::Diagnostic]) -> Vec<&str> {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.summary.as_str())
        .collect()
}

impl Kennel {
    /// Starts and configures the provider. The schema is not asked for: nothing may rely on that.
    pub(crate) async fn start() -> Self {
        let host = Host::start();
        let mut client = client(host.connect().await);
        let ty = Type::object([("directory", Type::String)]);
        let directory = host.directory().to_str().unwrap();
        let config = encode(&Value::object([("directory", Value::from(directory))]), &ty);
        let answer = client
            .configure_provider(wire::configure_provider::Request {
                terraform_version: "1.11.4".to_owned(),
                config,
                client_capabilities: CAPABILITIES,
            })
            .await
            .unwrap();
        assert!(answer.into_inner().diagnostics.is_empty());
        Self {
            host,
            client,
            ty: dog_type(),
        }
    }

    pub(crate) async fn plan(
        &mut self,
        prior: &Value,
        config: &Value,
        proposed: &Value,
    ) -> wire::plan_resource_change::Response {
        self.client
            .plan_resource_change(wire::plan_resource_change::Request {
                type_name: "kennel_dog".to_owned(),
                prior_state: encode(prior, &self.ty),
                proposed_new_state: encode(proposed, &self.ty),
                config: encode(config, &self.ty),
                prior_private: b"{\"kept\":\"yes\"}".to_vec(),
                client_capabilities: CAPABILITIES,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn apply(
        &mut self,
        prior: &Value,
        config: &Value,
        planned: &Value,
    ) -> wire::apply_resource_change::Response {
        self.client
            .apply_resource_change(wire::apply_resource_change::Request {
                type_name: "kennel_dog".to_owned(),
                prior_state: encode(prior, &self.ty),
                planned_state: encode(planned, &self.ty),
                config: encode(config, &self.ty),
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner()
    }

    /// Plans and creates a dog that does a trick.
    pub(crate) async fn create(&mut self, config: &Value) -> wire::apply_resource_change::Response {
        let plan = self.plan(&Value::Null, config, config).await;
        assert_eq!(plan.diagnostics, []);
        let planned = decode(plan.planned_state.as_ref(), &self.ty);
        self.apply(&Value::Null, config, &planned).await
    }
}

#[tokio::test]
async fn a_plan_keeps_private_state_and_drops_the_secret() {
    let mut kennel = Kennel::start().await;
    let config = dog(&[("name", "Rex".into()), ("chip", "marker".into())]);
    let plan = kennel.plan(&Value::Null, &config, &config).await;
    assert_eq!(plan.planned_private, b"{\"kept\":\"yes\"}");
    assert!(!plan.legacy_type_system);
    let bytes = &plan.planned_state.as_ref().unwrap().msgpack;
    assert!(!bytes.windows(6).any(|window| window == b"marker"));
    let planned = decode(plan.planned_state.as_ref(), &kennel.ty);
    assert!(planned.get("id").is_unknown() && planned.get("chip").is_null());

    let created = kennel.apply(&Value::Null, &config, &planned).await;
    assert_eq!(created.diagnostics, []);
    let state = decode(created.new_state.as_ref(), &kennel.ty);
    assert_eq!(state.get("id"), &"rex".into());

    // The same again plans nothing; another name replaces.
    let proposed = |config: &Value| {
        let mut proposed = config.clone();
        for name in ["id", "mood", "chip_length"] {
            proposed.set_attribute(name, state.get(name).clone());
        }
        proposed
    };
    let again = kennel.plan(&state, &config, &proposed(&config)).await;
    assert_eq!(decode(again.planned_state.as_ref(), &kennel.ty), state);
    assert!(again.requires_replace.is_empty());
    let renamed = dog(&[("name", "Bo".into()), ("chip", "marker".into())]);
    let replaced = kennel.plan(&state, &renamed, &proposed(&renamed)).await;
    assert_eq!(replaced.requires_replace.len(), 1);

    let deleted = kennel.plan(&state, &Value::Null, &Value::Null).await;
    assert!(decode(deleted.planned_state.as_ref(), &kennel.ty).is_null());
    let gone = kennel.apply(&state, &Value::Null, &Value::Null).await;
    assert!(decode(gone.new_state.as_ref(), &kennel.ty).is_null());
}

#[tokio::test]
async fn mistakes_of_the_author_are_named_and_what_exists_is_kept() {
    let mut kennel = Kennel::start().await;
    for (trick, words) in [
        ("panic", "the dog bit the provider"),
        ("lie", "A3: `mood`: it is not the planned value"),
        ("unknown", "A8: `nap`: it is still unknown"),
        ("fail", "It failed after it was made."),
    ] {
        let config = dog(&[
            ("name", "Rex".into()),
            ("trick", trick.into()),
            ("nap", "1h".into()),
        ]);
        let created = kennel.create(&config).await;
        let [diagnostic] = created.diagnostics.as_slice() else {
            panic!("{:?}", created.diagnostics)
        };
        assert!(diagnostic.detail.contains(words), "{}", diagnostic.detail);
        let state = decode(created.new_state.as_ref(), &kennel.ty);
        assert_eq!(state.get("id"), &"rex".into(), "{trick}");
        assert!(state.is_wholly_known());
    }
    let forgotten = kennel
        .create(&dog(&[("name", "Rex".into()), ("trick", "forget".into())]))
        .await;
    assert!(forgotten.diagnostics[0].detail.contains("A10"));

    let unknown = kennel.client.read_resource(wire::read_resource::Request {
        type_name: "kennel_cat".to_owned(),
        ..Default::default()
    });
    assert_eq!(
        summaries(&unknown.await.unwrap().into_inner().diagnostics),
        ["Unknown resource type"]
    );
    let malformed = kennel.client.read_resource(wire::read_resource::Request {
        type_name: "kennel_dog".to_owned(),
        current_state: Some(wire::DynamicValue {
            msgpack: vec![0x01].into(),
            ..Default::default()
        }),
        ..Default::default()
    });
    assert_eq!(
        summaries(&malformed.await.unwrap().into_inner().diagnostics),
        ["Request cannot be read"]
    );

    // Nothing of it went to standard error as a Go panic would, which the host takes for the end.
    kennel.host.kill();
    let (_, stderr) = kennel.host.end();
    assert!(!stderr.contains("panic:"), "{stderr}");
}

#[tokio::test]
async fn stop_cancels_what_runs_and_nothing_else() {
    let mut kennel = Kennel::start().await;
    let mut other = kennel.client.clone();
    let dawdling = dog(&[("name", "Rex".into()), ("trick", "dawdle".into())]);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other
            .stop_provider(wire::stop_provider::Request {})
            .await
            .unwrap()
            .into_inner()
    };
    let (created, stopped) = tokio::join!(kennel.create(&dawdling), stop);
    assert_eq!(stopped.error, "");
    assert_eq!(summaries(&created.diagnostics), ["Interrupted"]);
    assert_eq!(
        decode(created.new_state.as_ref(), &kennel.ty).get("id"),
        &"rex".into()
    );

    let after = kennel.create(&dog(&[("name", "Bo".into())])).await;
    assert_eq!(after.diagnostics, []);
}

#[tokio::test]
async fn a_write_only_attribute_needs_a_terraform_that_knows_it() {
    let mut kennel = Kennel::start().await;
    let config = encode(
        &dog(&[("name", "Rex".into()), ("chip", "marker".into())]),
        &kennel.ty,
    );
    let mut validate = async |client_capabilities| {
        let request = wire::validate_resource_config::Request {
            type_name: "kennel_dog".to_owned(),
            config: config.clone(),
            client_capabilities,
        };
        kennel
            .client
            .validate_resource_config(request)
            .await
            .unwrap()
            .into_inner()
            .diagnostics
    };
    assert_eq!(validate(CAPABILITIES).await, []);
    let refused = validate(None).await;
    assert_eq!(summaries(&refused), ["Write-only attributes need Terraform 1.11"]);
    assert!(
        refused[0].detail.contains("set `chip_ref` instead"),
        "{}",
        refused[0].detail
    );
    assert!(refused[0].attribute.is_some());
}

#[tokio::test]
async fn validators_speak_at_their_attributes() {
    let mut kennel = Kennel::start().await;
    let config = dog(&[
        ("name", "Rex".into()),
        ("mood", "odd".into()),
        ("weight", 500_i64.into()),
    ]);
    let request = wire::validate_resource_config::Request {
        type_name: "kennel_dog".to_owned(),
        config: encode(&config, &kennel.ty),
        client_capabilities: CAPABILITIES,
    };
    let diagnostics = kennel
        .client
        .validate_resource_config(request)
        .await
        .unwrap()
        .into_inner()
        .diagnostics;
    assert_eq!(summaries(&diagnostics), ["Invalid value", "Invalid value"]);
}

#[tokio::test]
async fn a_value_of_six_megabytes_goes_there_and_back() {
    let mut kennel = Kennel::start().await;
    let config = dog(&[("name", "Rex".into()), ("nap", "z".repeat(6 << 20).into())]);
    let created = kennel.create(&config).await;
    let state = decode(created.new_state.as_ref(), &kennel.ty);
    assert_eq!(state.get("nap").as_str().map(str::len), Some(6 << 20));
}
