//! The provider's own settings: each from the configuration, or else from the environment.

use std::{env, fmt, fs, sync::Arc};

use engine_api::{Secret, client::Trust};
use tfplug::{
    diagnostics::Diagnostics,
    schema::{Attribute, one_of},
    value::Value,
};

use crate::identity::{self, Pipeline};

/// One setting, and the variable that stands for it where the configuration does not set it.
#[derive(Debug, Clone, Copy)]
struct Setting {
    attribute: &'static str,
    variable: &'static str,
    sensitive: bool,
    /// What it can be; anything, where nothing stands here.
    words: &'static [&'static str],
    text: &'static str,
}

const URL: Setting = Setting {
    attribute: "engine_url",
    variable: "ZOOM_LOG_ENGINE_URL",
    sensitive: false,
    words: &[],
    text: "The URL of the engine's API, such as `http://127.0.0.1:8420`. Needed here or in the environment.",
};

const TOKEN: Setting = Setting {
    attribute: "engine_token",
    variable: "ZOOM_LOG_ENGINE_TOKEN",
    sensitive: true,
    words: &[],
    text: "The token for the engine's API. One with the scope `read` is enough for a plan; the engine prints the path of its \
           admin token when it starts. It, `engine_token_file` or `identity` is needed, here or in the environment.",
};

const TOKEN_FILE: Setting = Setting {
    attribute: "engine_token_file",
    variable: "ZOOM_LOG_ENGINE_TOKEN_FILE",
    sensitive: false,
    words: &[],
    text: "A file with the token for the engine's API, instead of `engine_token`: one that a pipeline mounts, for \
           example. White space around the token does not count.",
};

const CA_FILE: Setting = Setting {
    attribute: "engine_ca_file",
    variable: "ZOOM_LOG_ENGINE_CA_FILE",
    sensitive: false,
    words: &[],
    text: "A file with further certificate authorities, in PEM, that may vouch for the engine, beside those of the \
           system.",
};

const CLIENT_FILE: Setting = Setting {
    attribute: "engine_client_certificate_file",
    variable: "ZOOM_LOG_ENGINE_CLIENT_CERTIFICATE_FILE",
    sensitive: false,
    words: &[],
    text: "A file with a certificate and its key, in PEM, for an engine that asks for one beside the token \
           (`server.tls.client_ca_file`).",
};

const IDENTITY: Setting = Setting {
    attribute: "identity",
    variable: "ZOOM_LOG_ENGINE_IDENTITY",
    sensitive: false,
    words: &[identity::GITHUB, identity::GITLAB, identity::HCP],
    text: "The platform that knows this run, instead of a token: `github_actions` (the job needs `id-token: write`), \
           `gitlab` (with `id_tokens` of the job) or `hcp_terraform` (with `TFC_WORKLOAD_IDENTITY_AUDIENCE` in the \
           workspace). What it says is exchanged for a short-lived token, by the engine's rules `auth.issuers`.",
};

const AUDIENCE: Setting = Setting {
    attribute: "identity_audience",
    variable: "ZOOM_LOG_ENGINE_IDENTITY_AUDIENCE",
    sensitive: false,
    words: &[],
    text: "For whom `github_actions` is asked to make its token: the `audience` of the engine's rule. Default: `engine_url`.",
};

const VARIABLE: Setting = Setting {
    attribute: "identity_token_variable",
    variable: "ZOOM_LOG_ENGINE_IDENTITY_TOKEN_VARIABLE",
    sensitive: false,
    words: &[],
    text: "The variable of the environment that holds the platform's token. Default: `ZOOM_LOG_ENGINE_ID_TOKEN` for \
           `gitlab`, `TFC_WORKLOAD_IDENTITY_TOKEN` for `hcp_terraform`.",
};

const SCOPE: Setting = Setting {
    attribute: "identity_scope",
    variable: "ZOOM_LOG_ENGINE_IDENTITY_SCOPE",
    sensitive: false,
    words: &["read", "write", "admin"],
    text: "What the token that is got for `identity` has to be good for. Default: as much as the engine's rules give.",
};

const ALL: [Setting; 9] = [
    URL,
    TOKEN,
    TOKEN_FILE,
    CA_FILE,
    CLIENT_FILE,
    IDENTITY,
    AUDIENCE,
    VARIABLE,
    SCOPE,
];

/// The settings without which no engine can be spoken to, as a part of a sentence.
pub(crate) const NEEDED: &str = "`engine_url` or `engine_token`";

/// Reads a variable of the environment; a test brings its own.
type Read = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment in which the provider runs.
#[derive(Clone)]
pub struct Environment(pub(crate) Arc<Read>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// Returns the environment of the process.
    pub fn of_the_process() -> Self {
        Self::new(|name| env::var(name).ok())
    }

    /// Returns an environment that reads variables so.
    pub fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

/// How to come by a token.
#[derive(Debug)]
pub enum Credential {
    /// It is this one.
    Token(Secret),
    /// The engine gives one for the identity of the pipeline.
    Pipeline(Pipeline),
}

/// How to reach the engine.
#[derive(Debug)]
pub struct Settings {
    /// The URL of its API.
    pub url: String,
    /// How to come by a token for it.
    pub credential: Credential,
    /// Whom to trust, and as whom to come.
    pub trust: Trust,
}

/// Returns the attributes of the provider's configuration.
pub fn attributes() -> impl Iterator<Item = Attribute> {
    ALL.into_iter().map(|setting| {
        let attribute = Attribute::string(setting.attribute);
        let described = attribute.describe(format!(
            "{} In the environment: `{}`.",
            setting.text, setting.variable
        ));
        match (setting.sensitive, setting.words) {
            (true, _) => described.sensitive(),
            (false, []) => described,
            (false, words) => described.validate(one_of(words.iter().copied())),
        }
    })
}

/// What is set of one setting.
enum Set {
    Text(String),
    /// It comes from something that does not exist yet.
    Unknown,
    No,
}

/// Reads the settings; none while one of them is unknown. What is missing or cannot be used is told at its attribute.
pub fn read(environment: &Environment, config: &Value, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let configured = |setting: Setting| match config.get(setting.attribute) {
        Value::Unknown => Set::Unknown,
        value => value
            .as_str()
            .filter(|text| !text.is_empty())
            .map_or(Set::No, |text| Set::Text(text.to_owned())),
    };
    let inherited = |setting: Setting| {
        let text = (environment.0)(setting.variable).filter(|text| !text.is_empty());
        text.map_or(Set::No, Set::Text)
    };
    let either = |setting| match configured(setting) {
        Set::No => inherited(setting),
        set => set,
    };
    let url = either(URL);
    if matches!(url, Set::No) {
        missing(URL, diagnostics);
    }
    // A way to a token in the configuration counts before one in the environment, where the first one counts.
    let ways = [TOKEN, TOKEN_FILE, IDENTITY];
    let mut sets = ways.map(configured);
    let mut named = ways
        .iter()
        .zip(&sets)
        .filter(|(_, set)| matches!(set, Set::Text(_)));
    if let (Some(_), Some((second, _))) = (named.next(), named.next()) {
        diagnostics.attribute_error(
            second.attribute,
            "The token is given twice",
            "Set one of `engine_token`, `engine_token_file` and `identity`, not both.",
        );
        return None;
    }
    if sets.iter().all(|set| matches!(set, Set::No)) {
        sets = ways.map(inherited);
    }
    let way = ways
        .into_iter()
        .zip(sets)
        .find(|(_, set)| !matches!(set, Set::No));
    let credential = match way {
        Some((_, Set::Unknown)) => None,
        Some((way, Set::Text(text))) => match way.attribute {
            "engine_token_file" => Some(Credential::Token(Secret::from(token_in(&text, diagnostics)))),
            "identity" => pipeline(text, [AUDIENCE, VARIABLE, SCOPE].map(either)).map(Credential::Pipeline),
            _ => Some(Credential::Token(Secret::from(text))),
        },
        Some((_, Set::No)) | None => {
            missing(TOKEN, diagnostics);
            None
        }
    };
    let mut pem = |setting| match either(setting) {
        Set::Text(path) => Some(pem_in(setting, &path, diagnostics)),
        Set::No => Some(Vec::new()),
        Set::Unknown => None,
    };
    let (authorities, identity) = (pem(CA_FILE), pem(CLIENT_FILE));
    match (url, credential, authorities, identity) {
        (Set::Text(url), Some(credential), Some(authorities), Some(identity)) => Some(Settings {
            url,
            credential,
            trust: Trust {
                authorities,
                identity,
            },
        }),
        _ => None,
    }
}

/// What is said of the pipeline's identity; none while a part of it is unknown.
fn pipeline(platform: String, [audience, variable, scope]: [Set; 3]) -> Option<Pipeline> {
    let known = |set| match set {
        Set::Text(text) => Some(Some(text)),
        Set::No => Some(None),
        Set::Unknown => None,
    };
    Some(Pipeline {
        platform,
        audience: known(audience)?,
        variable: known(variable)?,
        scope: known(scope)?,
    })
}

fn missing(setting: Setting, diagnostics: &mut Diagnostics) {
    let otherwise = match setting.attribute {
        "engine_token" => {
            " Or name a file with `engine_token_file`, or the pipeline's platform with `identity`."
        }
        _ => "",
    };
    diagnostics.attribute_error(
        setting.attribute,
        "The provider is not configured",
        format!(
            "Set `{}` in the provider's configuration, or `{}` in the environment.{otherwise}",
            setting.attribute, setting.variable
        ),
    );
}

fn token_in(path: &str, diagnostics: &mut Diagnostics) -> String {
    let why = match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return text.trim().to_owned(),
        Ok(_) => "it is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    diagnostics.attribute_error(
        TOKEN_FILE.attribute,
        "The engine's token cannot be read",
        format!(
            "There is no token in the file `{path}`: {why}. It is named by `{}`, or by `{}` in the environment.",
            TOKEN_FILE.attribute, TOKEN_FILE.variable
        ),
    );
    String::new()
}

fn pem_in(setting: Setting, path: &str, diagnostics: &mut Diagnostics) -> Vec<u8> {
    let why = match fs::read(path) {
        Ok(text)
            if text
                .windows(CERTIFICATE.len())
                .any(|window| window == CERTIFICATE) =>
        {
            return text;
        }
        Ok(_) => "it has no certificate in PEM".to_owned(),
        Err(error) => error.to_string(),
    };
    diagnostics.attribute_error(
        setting.attribute,
        "A file with certificates cannot be read",
        format!(
            "The file `{path}` cannot be used: {why}. It is named by `{}`, or by `{}` in the environment.",
            setting.attribute, setting.variable
        ),
    );
    Vec::new()
}

/// What every certificate in PEM begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &[(&str, Value)], variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let environment = Environment::new(move |wanted| {
            let found = variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, text)| text.clone())
        });
        let mut whole = Value::object(ALL.map(|setting| (setting.attribute, Value::Null)));
        for (name, value) in config {
            whole.set_attribute(name, value.clone());
        }
        let mut diagnostics = Diagnostics::new();
        let read = read(&environment, &whole, &mut diagnostics);
        match diagnostics.iter().next() {
            None => Ok(read),
            Some(first) => Err(first.detail.clone()),
        }
    }

    #[test]
    fn the_configuration_counts_before_the_environment() {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = files.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (here, there) = (
            file("here", " from-file-here\n"),
            file("there", "from-file-there"),
        );
        let url = ("ZOOM_LOG_ENGINE_URL", "http://there");
        let token = |config: &[(&str, Value)], variables: &[(&str, &str)]| {
            let variables = [&[url], variables].concat();
            match settings(config, &variables).unwrap().unwrap().credential {
                Credential::Token(token) => token.expose().to_owned(),
                Credential::Pipeline(pipeline) => pipeline.platform,
            }
        };
        let text = ("ZOOM_LOG_ENGINE_TOKEN", "from-variable");
        let named = ("ZOOM_LOG_ENGINE_TOKEN_FILE", there.as_str());
        assert_eq!(token(&[], &[text, named]), "from-variable");
        assert_eq!(token(&[], &[named]), "from-file-there");
        assert_eq!(
            token(&[("engine_token_file", here.as_str().into())], &[text, named]),
            "from-file-here"
        );
        assert_eq!(
            token(&[("engine_token", "configured".into())], &[text, named]),
            "configured"
        );
        let platform = ("ZOOM_LOG_ENGINE_IDENTITY", "gitlab");
        assert_eq!(token(&[], &[platform]), "gitlab");
        assert_eq!(token(&[], &[platform, text]), "from-variable");
        assert_eq!(
            token(&[("identity", "github_actions".into())], &[platform, text]),
            "github_actions"
        );

        let both = [
            ("engine_token", "a".into()),
            ("engine_token_file", here.as_str().into()),
        ];
        assert!(settings(&both, &[url]).unwrap_err().contains("not both"));
        let unknown = settings(&[("engine_token", Value::Unknown)], &[url, text]).unwrap();
        assert!(
            unknown.is_none(),
            "what is not known yet is not taken from elsewhere"
        );
        assert!(
            settings(&[], &[text])
                .unwrap_err()
                .contains("`ZOOM_LOG_ENGINE_URL`")
        );
        assert!(
            settings(&[], &[url])
                .unwrap_err()
                .contains("`ZOOM_LOG_ENGINE_TOKEN`")
        );

        let empty = file("empty", " \n");
        for (name, path, words) in [
            ("engine_token_file", empty.as_str(), "it is empty"),
            ("engine_token_file", "/nowhere/token", "No such file"),
            ("engine_ca_file", here.as_str(), "no certificate in PEM"),
            (
                "engine_client_certificate_file",
                here.as_str(),
                "no certificate in PEM",
            ),
        ] {
            let token = [url, text];
            let error = settings(&[(name, path.into())], &token).unwrap_err();
            assert!(
                error.contains(words) && error.contains(path) && !error.contains("from-file"),
                "{error}"
            );
        }
    }
}
