//! What the host says through the environment, and the line that answers it.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// The variable by which a host shows that it is one.
const COOKIE_NAME: &str = "TF_PLUGIN_MAGIC_COOKIE";
/// Its value for Terraform providers.
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
/// The version of the handshake.
const CORE_VERSION: u32 = 1;
/// The version of the provider protocol. A host that does not speak it reports so itself.
const PROTOCOL_VERSION: u32 = 6;

/// How the host started us.
#[derive(Debug)]
pub(super) struct Start {
    /// The host's certificate as PEM. Without one the connection is not encrypted.
    pub(super) client_certificate: Option<String>,
    /// Where the socket is to be.
    pub(super) socket_dir: Option<PathBuf>,
    /// Whether the host wants to hear that it may multiplex connections, which it may not.
    pub(super) asks_multiplex: bool,
}

/// Reads the environment, or returns what to tell whoever started the process by hand.
pub(super) fn read(environment: &dyn Fn(&str) -> Option<String>) -> Result<Start, String> {
    if environment(COOKIE_NAME).as_deref() != Some(COOKIE) {
        return Err("This program is a Terraform provider. Terraform starts it by itself, and it does nothing when it \
                    is started by hand. Name it in a configuration and run `terraform init`."
            .to_owned());
    }
    let filled = |name| environment(name).filter(|value| !value.is_empty());
    Ok(Start {
        client_certificate: filled("PLUGIN_CLIENT_CERT"),
        socket_dir: filled("PLUGIN_UNIX_SOCKET_DIR").map(PathBuf::from),
        asks_multiplex: environment("PLUGIN_MULTIPLEX_GRPC").is_some(),
    })
}

/// Returns the line that tells the host where we listen and with which certificate.
pub(super) fn line(start: &Start, socket: &Path, certificate: Option<&[u8]>) -> String {
    let certificate = certificate
        .map(|der| STANDARD_NO_PAD.encode(der))
        .unwrap_or_default();
    let multiplex = if start.asks_multiplex { "|false" } else { "" };
    format!(
        "{CORE_VERSION}|{PROTOCOL_VERSION}|unix|{}|grpc|{certificate}{multiplex}",
        socket.display()
    )
}

/// Returns what to set so that Terraform attaches to this process instead of starting one.
pub(super) fn reattach(address: &str, pid: u32, socket: &Path) -> String {
    let mut json = String::from("{");
    crate::value::write_json_string(address, &mut json);
    json.push_str(":{\"Protocol\":\"grpc\",\"ProtocolVersion\":6,\"Pid\":");
    json.push_str(&pid.to_string());
    json.push_str(",\"Test\":true,\"Addr\":{\"Network\":\"unix\",\"String\":");
    crate::value::write_json_string(&socket.to_string_lossy(), &mut json);
    json.push_str("}}}");
    format!("TF_REATTACH_PROVIDERS='{json}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn without_the_cookie_there_is_a_sentence() {
        for pairs in [vec![], vec![(COOKIE_NAME, "wrong")]] {
            let sentence = read(&environment(&pairs)).unwrap_err();
            assert!(sentence.contains("Terraform provider"), "{sentence}");
        }
    }

    #[test]
    fn the_line_has_six_fields_and_a_seventh_only_when_asked() {
        let start = read(&environment(&[(COOKIE_NAME, COOKIE)])).unwrap();
        let socket = Path::new("/tmp/plugin1");
        assert_eq!(line(&start, socket, None), "1|6|unix|/tmp/plugin1|grpc|");
        assert_eq!(
            line(&start, socket, Some(&[0xff; 4])),
            "1|6|unix|/tmp/plugin1|grpc|/////w"
        );

        let start = read(&environment(&[
            (COOKIE_NAME, COOKIE),
            ("PLUGIN_MULTIPLEX_GRPC", "true"),
        ]))
        .unwrap();
        assert_eq!(line(&start, socket, None), "1|6|unix|/tmp/plugin1|grpc||false");
    }

    #[test]
    fn reattach_is_json_in_single_quotes() {
        let text = reattach("registry.terraform.io/a/b", 7, Path::new("/tmp/p"));
        let json = text
            .strip_prefix("TF_REATTACH_PROVIDERS='")
            .and_then(|rest| rest.strip_suffix('\''));
        let value: serde_json::Value = serde_json::from_str(json.unwrap()).unwrap();
        assert_eq!(value["registry.terraform.io/a/b"]["Addr"]["String"], "/tmp/p");
        assert_eq!(value["registry.terraform.io/a/b"]["ProtocolVersion"], 6);
    }
}
