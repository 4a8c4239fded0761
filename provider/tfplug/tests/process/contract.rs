//! How the process starts, whom it lets in, and how it ends.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tfplug::wire::{
    plugin::{Empty, grpc_controller_client::GrpcControllerClient, grpc_stdio_client::GrpcStdioClient},
    tfplugin6::get_provider_schema,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::host::{Host, PROVIDER, certificate, client, interrupt, origin};

#[test]
fn started_by_hand_it_says_what_it_is() {
    for cookie in [None, Some("wrong")] {
        let mut command = Command::new(PROVIDER);
        command.env_remove("TF_PLUGIN_MAGIC_COOKIE");
        if let Some(cookie) = cookie {
            command.env("TF_PLUGIN_MAGIC_COOKIE", cookie);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("This program is a Terraform provider."),
            "{text}"
        );
    }
    let version = Command::new(PROVIDER).arg("--version").output().unwrap();
    assert_eq!(version.stdout, b"registry.terraform.io/example/kennel 0.0.0\n");
    let unknown = Command::new(PROVIDER).arg("--unknown").output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test]
async fn it_serves_after_the_handshake_and_ends_at_once() {
    let host = Host::start();
    assert_eq!(host.line()[..3], ["1", "6", "unix"]);
    assert_eq!(host.line()[4], "grpc");
    assert_eq!(host.line().len(), 6);
    let socket = host.socket();
    assert!(socket.starts_with(host.directory()));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let link = host.connect().await;
    let mut health = HealthClient::with_origin(link.clone(), origin());
    let answer = health
        .check(HealthCheckRequest {
            service: "plugin".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(answer.into_inner().status, 1);
    let mut stdio = GrpcStdioClient::with_origin(link.clone(), origin());
    let _stays_open = stdio.stream_stdio(()).await.unwrap();
    let schema = client(link.clone())
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .unwrap();
    assert!(schema.into_inner().resource_schemas.contains_key("kennel_dog"));

    let told = Instant::now();
    let mut controller = GrpcControllerClient::with_origin(link, origin());
    // The answer may be lost, since the process ends.
    let _ = controller.shutdown(Empty {}).await;
    let (code, stderr) = host.end();
    assert!(
        told.elapsed() < Duration::from_millis(500),
        "{:?}",
        told.elapsed()
    );
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!socket.exists());
}

#[tokio::test]
async fn only_the_host_gets_in() {
    let host = Host::start();
    assert!(host.connect_as(None).await.is_err());
    assert!(host.connect_as(Some(&certificate())).await.is_err());
    // Others being refused does not disturb the host.
    host.connect().await;
}

#[tokio::test]
async fn without_a_certificate_of_the_host_it_serves_in_clear() {
    let host = Host::start_with(false, &[]);
    assert_eq!(host.line()[5], "");
    host.connect_plainly().await;
}

#[test]
fn a_host_that_asks_hears_that_connections_are_not_multiplexed() {
    let host = Host::start_with(true, &[("PLUGIN_MULTIPLEX_GRPC", "true")]);
    assert_eq!(host.line()[6], "false");
}

#[test]
fn a_broken_certificate_of_the_host_is_said_plainly() {
    let host = Host::start_with(false, &[("PLUGIN_CLIENT_CERT", "no certificate")]);
    let (code, stderr) = host.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("read the host's certificate"), "{stderr}");
}

#[tokio::test]
async fn an_interrupt_ends_nothing() {
    let host = Host::start_with(true, &[("TF_LOG", "info")]);
    let link = host.connect().await;
    host.interrupt();
    host.interrupt();
    tokio::time::sleep(Duration::from_millis(100)).await;
    client(link.clone())
        .get_provider_schema(get_provider_schema::Request {})
        .await
        .unwrap();
    let _ = GrpcControllerClient::with_origin(link, origin())
        .shutdown(Empty {})
        .await;
    let (code, stderr) = host.end();
    assert_eq!(code, 0);
    for line in stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line.as_object()
                .unwrap()
                .values()
                .all(serde_json::Value::is_string),
            "{line}"
        );
        assert_eq!(line["@timestamp"].as_str().unwrap().len(), 27);
    }
    assert!(stderr.contains("interrupted"));
}

#[test]
fn in_debug_mode_it_says_how_to_attach_and_ends_with_an_interrupt() {
    let mut child = Command::new(PROVIDER)
        .arg("-debug")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let json = line
        .trim()
        .strip_prefix("TF_REATTACH_PROVIDERS='")
        .unwrap()
        .strip_suffix('\'')
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let entry = &value["registry.terraform.io/example/kennel"];
    assert_eq!(entry["Pid"], child.id());
    let socket = entry["Addr"]["String"].as_str().unwrap().to_owned();
    assert!(fs::exists(&socket).unwrap());
    interrupt(child.id());
    assert!(child.wait().unwrap().success());
    assert!(!fs::exists(&socket).unwrap());
}
