//! Bytes that the real Terraform sends, recorded and checked in under `tests/golden/`.
//!
//! A provider that does nothing but record serves one resource with an attribute of every sort. The installed Terraform
//! attaches to it and applies the configuration below. `TFPLUG_GOLDEN=accept` writes what it sent; otherwise it has to
//! be what is checked in. The codec reads both forms back and writes what it read.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{Arc, Mutex},
};

use futures_util::stream;
use tfplug::{
    value::{Type, Value},
    wire::tfplugin6::{self as wire, provider_server},
};
use tokio::net::UnixListener;
use tonic::{Request, Response, Status, transport::Server};

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    golden = { source = "example/golden" }
  }
}

resource "terraform_data" "later" {
  input = "later"
}

resource "golden_value" "all" {
  text       = "Grüße\n\"x\" \u0001"
  long       = join("", [for i in range(300) : "z"])
  whole      = -123
  fraction   = 30.5
  decimal    = 30.1
  max        = 9223372036854775807
  beyond     = 18446744073709551615
  huge       = 1e30
  flag       = true
  list       = ["a", null, "b"]
  set        = [3, 1, 2, 1]
  map        = { b = true, a = false }
  object     = { x = 1, y = "z" }
  any_tuple  = [1, "x", true, null]
  any_object = { a = { b = [0.1] } }
  unknown    = terraform_data.later.id
  refined    = "pre-${terraform_data.later.id}"
  in_list    = ["known", terraform_data.later.id]
  any_later  = terraform_data.later.output
}
"#;

/// The type of the resource, in the order of the configuration.
fn attributes() -> Vec<(&'static str, Type)> {
    vec![
        ("text", Type::String),
        ("long", Type::String),
        ("nothing", Type::String),
        ("whole", Type::Number),
        ("fraction", Type::Number),
        ("decimal", Type::Number),
        ("max", Type::Number),
        ("beyond", Type::Number),
        ("huge", Type::Number),
        ("flag", Type::Bool),
        ("list", Type::list(Type::String)),
        ("set", Type::set(Type::Number)),
        ("map", Type::map(Type::Bool)),
        ("object", Type::object([("x", Type::Number), ("y", Type::String)])),
        ("any_tuple", Type::Dynamic),
        ("any_object", Type::Dynamic),
        ("unknown", Type::String),
        ("refined", Type::String),
        ("in_list", Type::list(Type::String)),
        ("any_later", Type::Dynamic),
    ]
}

fn ty() -> Type {
    Type::object(attributes())
}

/// What was sent, by a name: the first of each.
type Recorded = Arc<Mutex<BTreeMap<&'static str, Vec<u8>>>>;

#[derive(Debug)]
struct Recorder(Recorded);

impl Recorder {
    fn note(&self, name: &'static str, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .entry(name)
            .or_insert_with(|| bytes.to_vec());
    }
}

#[async_trait::async_trait]
impl provider_server::Provider for Recorder {
    async fn get_provider_schema(
        &self,
        _: Request<wire::get_provider_schema::Request>,
    ) -> Result<Response<wire::get_provider_schema::Response>, Status> {
        let attribute = |(name, ty): (&str, Type)| wire::schema::Attribute {
            name: name.to_owned(),
            r#type: ty.to_json().into_bytes(),
            optional: true,
            ..Default::default()
        };
        let schema = wire::Schema {
            block: Some(wire::schema::Block {
                attributes: attributes().into_iter().map(attribute).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        Ok(Response::new(wire::get_provider_schema::Response {
            provider: Some(wire::Schema {
                block: Some(wire::schema::Block::default()),
                ..Default::default()
            }),
            resource_schemas: [("golden_value".to_owned(), schema)].into(),
            ..Default::default()
        }))
    }

    async fn validate_provider_config(
        &self,
        _: Request<wire::validate_provider_config::Request>,
    ) -> Result<Response<wire::validate_provider_config::Response>, Status> {
        Ok(Response::new(wire::validate_provider_config::Response::default()))
    }

    async fn configure_provider(
        &self,
        _: Request<wire::configure_provider::Request>,
    ) -> Result<Response<wire::configure_provider::Response>, Status> {
        Ok(Response::new(wire::configure_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        _: Request<wire::validate_resource_config::Request>,
    ) -> Result<Response<wire::validate_resource_config::Response>, Status> {
        Ok(Response::new(wire::validate_resource_config::Response::default()))
    }

    async fn plan_resource_change(
        &self,
        request: Request<wire::plan_resource_change::Request>,
    ) -> Result<Response<wire::plan_resource_change::Response>, Status> {
        let request = request.into_inner();
        self.note("config.msgpack", &request.config.unwrap_or_default().msgpack);
        Ok(Response::new(wire::plan_resource_change::Response {
            planned_state: request.proposed_new_state,
            ..Default::default()
        }))
    }

    async fn apply_resource_change(
        &self,
        request: Request<wire::apply_resource_change::Request>,
    ) -> Result<Response<wire::apply_resource_change::Response>, Status> {
        let planned = request.into_inner().planned_state;
        Ok(Response::new(wire::apply_resource_change::Response {
            new_state: planned,
            ..Default::default()
        }))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<wire::upgrade_resource_state::Request>,
    ) -> Result<Response<wire::upgrade_resource_state::Response>, Status> {
        let json = request.into_inner().raw_state.unwrap_or_default().json;
        self.note("state.json", &json);
        let state = Value::from_stored_json(&json, &ty()).unwrap();
        Ok(Response::new(wire::upgrade_resource_state::Response {
            upgraded_state: Some(wire::DynamicValue {
                msgpack: state.to_msgpack(&ty()).unwrap().into(),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn read_resource(
        &self,
        request: Request<wire::read_resource::Request>,
    ) -> Result<Response<wire::read_resource::Response>, Status> {
        Ok(Response::new(wire::read_resource::Response {
            new_state: request.into_inner().current_state,
            ..Default::default()
        }))
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Runs Terraform attached to the recorder.
fn terraform(directory: &Path, reattach: &str, arguments: &[&str]) {
    let output = Command::new("terraform")
        .current_dir(directory)
        .args(arguments)
        .env("TF_REATTACH_PROVIDERS", reattach)
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_LOG")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_sends_what_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let recorded = Recorded::default();
    let service = provider_server::ProviderServer::new(Recorder(Arc::clone(&recorded)));
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let serving = tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    fs::write(directory.path().join("main.tf"), CONFIGURATION).unwrap();
    let reattach = serde_json::json!({ "registry.terraform.io/example/golden": {
        "Protocol": "grpc", "ProtocolVersion": 6, "Pid": process::id(), "Test": true,
        "Addr": { "Network": "unix", "String": socket },
    }})
    .to_string();
    let (path, attached) = (directory.path().to_owned(), reattach.clone());
    tokio::task::spawn_blocking(move || {
        for arguments in [&["init"][..], &["apply", "-auto-approve"], &["plan"]] {
            terraform(&path, &attached, arguments);
        }
    })
    .await
    .unwrap();
    serving.abort();

    let recorded = recorded.lock().unwrap();
    if env::var_os("TFPLUG_GOLDEN").is_some_and(|mode| mode == "accept") {
        for (name, bytes) in recorded.iter() {
            fs::write(golden(name), bytes).unwrap();
        }
    }
    assert_eq!(
        recorded["config.msgpack"],
        fs::read(golden("config.msgpack")).unwrap()
    );
    // The ids of `terraform_data` differ from run to run, so the state is compared by its shape.
    let shape = |json: &[u8]| {
        let mut state: serde_json::Value = serde_json::from_slice(json).unwrap();
        for name in ["unknown", "refined", "in_list"] {
            state[name] = serde_json::Value::Null;
        }
        state
    };
    assert_eq!(
        shape(&recorded["state.json"]),
        shape(&fs::read(golden("state.json")).unwrap())
    );
}

#[test]
fn what_terraform_sends_is_read_and_written_again() {
    let ty = ty();
    let config = Value::from_msgpack(&fs::read(golden("config.msgpack")).unwrap(), &ty).unwrap();
    let shown = |value: &Value, name: &str| value.get(name).reveal();
    for (name, expected) in [
        ("text", "\"Grüße\\n\\\"x\\\" \\u{1}\""),
        ("nothing", "null"),
        ("whole", "-123"),
        ("fraction", "30.5"),
        ("decimal", "30.1"),
        ("max", "9223372036854775807"),
        ("beyond", "18446744073709551615"),
        ("huge", "1000000000000000000000000000000"),
        ("flag", "true"),
        ("list", "[\"a\", null, \"b\"]"),
        ("set", "set[1, 2, 3]"),
        ("map", "{a = false, b = true}"),
        ("object", "{x = 1, y = \"z\"}"),
        ("unknown", "(unknown)"),
        ("refined", "(unknown)"),
        ("in_list", "[\"known\", (unknown)]"),
    ] {
        assert_eq!(shown(&config, name), expected, "{name}");
    }
    assert!(shown(&config, "any_tuple").starts_with("(1, \"x\", true, null) as tuple("));
    assert!(shown(&config, "any_object").starts_with("{a = {b = (0.1)}} as object("));
    assert_eq!(shown(&config, "any_later"), "(unknown) as string");
    assert_eq!(config.get("long").as_str().map(str::len), Some(300));
    let again = Value::from_msgpack(&config.to_msgpack(&ty).unwrap(), &ty).unwrap();
    assert_eq!(again, config);

    let state = Value::from_json(&fs::read(golden("state.json")).unwrap(), &ty).unwrap();
    for name in [
        "whole",
        "fraction",
        "decimal",
        "max",
        "beyond",
        "huge",
        "any_tuple",
        "any_object",
        "set",
    ] {
        assert_eq!(shown(&state, name), shown(&config, name), "{name}");
    }
    assert!(state.is_wholly_known());
    let again = Value::from_json(state.to_json(&ty).unwrap().as_bytes(), &ty).unwrap();
    assert_eq!(again, state);
}
