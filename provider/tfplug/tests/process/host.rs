//! The plugin host of the library, for tests, which stop where it fails.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rcgen::{CertifiedKey, KeyPair};
pub(crate) use tfplug::conformance::host::{Link, origin};
use tfplug::{
    conformance::host::{self, Error, Plugin},
    value::{Type, Value},
    wire::tfplugin6::{ClientCapabilities, DynamicValue, provider_client::ProviderClient},
};

pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_terraform-provider-kennel");

/// A certificate with its key.
pub(crate) fn certificate() -> CertifiedKey<KeyPair> {
    host::certificate().unwrap()
}

/// The small provider, started; its dogs live beside its socket.
pub(crate) struct Host(Plugin);

impl Host {
    /// Starts the provider with mutual TLS.
    pub(crate) fn start() -> Self {
        Self::start_with(true, &[])
    }

    /// Starts the provider, with or without TLS, with these further variables.
    pub(crate) fn start_with(tls: bool, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROVIDER);
        command.env_remove("TF_LOG").envs(variables.iter().copied());
        Self(Plugin::start(command, tls).unwrap())
    }

    pub(crate) fn line(&self) -> &[String] {
        self.0.line()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.directory()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.socket().unwrap()
    }

    /// Connects with the certificate that the provider was given.
    pub(crate) async fn connect(&self) -> Link {
        self.0.connect().await.unwrap()
    }

    /// Connects with a certificate, or without one.
    pub(crate) async fn connect_as(&self, identity: Option<&CertifiedKey<KeyPair>>) -> Result<Link, Error> {
        self.0.connect_as(identity).await
    }

    /// Connects without TLS.
    pub(crate) async fn connect_plainly(&self) -> Link {
        self.0.connect_plainly().await.unwrap()
    }

    /// Kills the process.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Waits for the end, and returns the code and what was written to standard error.
    pub(crate) fn end(self) -> (i32, String) {
        let (code, text) = self.0.end().unwrap();
        (code.unwrap_or(-1), text)
    }

    /// Interrupts the provider, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        interrupt(self.0.id());
    }
}

/// Sends the signal of Ctrl-C.
pub(crate) fn interrupt(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-INT", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// The client of the provider service.
pub(crate) fn client(link: Link) -> ProviderClient<Link> {
    link.client()
}

/// Writes a value as Terraform does.
pub(crate) fn encode(value: &Value, ty: &Type) -> Option<DynamicValue> {
    let msgpack = value.to_msgpack(ty).ok()?.into();
    Some(DynamicValue {
        msgpack,
        json: Vec::new().into(),
    })
}

/// Reads a value that the provider wrote.
pub(crate) fn decode(value: Option<&DynamicValue>, ty: &Type) -> Value {
    Value::from_msgpack(&value.unwrap().msgpack, ty).unwrap()
}

/// What Terraform from 1.11 can do.
pub(crate) const CAPABILITIES: Option<ClientCapabilities> = Some(ClientCapabilities {
    deferral_allowed: false,
    write_only_attributes_allowed: true,
    store_planned_private: false,
    computed_blocks_allowed: false,
});
