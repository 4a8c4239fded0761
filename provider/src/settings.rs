//! Where the engine is, and who may vouch for it: from the configuration, or else from the environment. How the provider
//! comes by its token is in `identity`.

use std::{env, fmt, fs, sync::Arc};

use tfplug::{diagnostics::Diagnostics, schema::Attribute, value::Value};

/// One setting, and the variable that stands for it where the configuration does not set it.
#[derive(Debug, Clone, Copy)]
struct Setting {
    attribute: &'static str,
    variable: &'static str,
    text: &'static str,
}

const URL: Setting = Setting {
    attribute: "engine_url",
    variable: "ZOOM_LOG_ENGINE_URL",
    text: "The URL of the engine's API, such as `http://127.0.0.1:8420`. Needed here or in the environment.",
};

const CA_FILE: Setting = Setting {
    attribute: "engine_ca_file",
    variable: "ZOOM_LOG_ENGINE_CA_FILE",
    text: "A file with further certificate authorities, in PEM, that may vouch for the engine, beside those of the \
           system.",
};

const ALL: [Setting; 2] = [URL, CA_FILE];

/// The settings without which no engine can be spoken to, as a part of a sentence.
pub(crate) const NEEDED: &str = "`engine_url` or `engine_token`";

/// Reads a variable of the environment; a test brings its own.
type Read = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment in which the provider runs.
#[derive(Clone)]
pub struct Environment(Arc<Read>);

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

    /// Returns a variable; one that is empty is none.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|text| !text.is_empty())
    }

    /// Returns an environment that reads variables so.
    pub fn new(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

/// How to reach the engine.
#[derive(Debug)]
pub struct Settings {
    /// The URL of its API.
    pub url: String,
    /// Further certificate authorities, in PEM; empty for none.
    pub authorities: Vec<u8>,
}

/// Returns the attributes of the provider's configuration.
pub fn attributes() -> impl Iterator<Item = Attribute> {
    ALL.into_iter().map(|setting| {
        let words = format!("{} In the environment: `{}`.", setting.text, setting.variable);
        Attribute::string(setting.attribute).describe(words)
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
    let set = |setting: Setting| match config.get(setting.attribute) {
        Value::Unknown => Set::Unknown,
        value => {
            let configured = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let text = configured.or_else(|| environment.variable(setting.variable));
            text.map_or(Set::No, Set::Text)
        }
    };
    let url = set(URL);
    if matches!(url, Set::No) {
        missing(URL, diagnostics);
    }
    let authorities = match set(CA_FILE) {
        Set::Text(path) => Some(authorities_in(&path, diagnostics)),
        Set::No => Some(Vec::new()),
        Set::Unknown => None,
    };
    match (url, authorities) {
        (Set::Text(url), Some(authorities)) => Some(Settings { url, authorities }),
        _ => None,
    }
}

fn missing(setting: Setting, diagnostics: &mut Diagnostics) {
    diagnostics.attribute_error(
        setting.attribute,
        "The provider is not configured",
        format!(
            "Set `{}` in the provider's configuration, or `{}` in the environment.",
            setting.attribute, setting.variable
        ),
    );
}

fn authorities_in(path: &str, diagnostics: &mut Diagnostics) -> Vec<u8> {
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
        CA_FILE.attribute,
        "The certificate authorities cannot be read",
        format!(
            "The file `{path}` cannot be used: {why}. It is named by `{}`, or by `{}` in the environment.",
            CA_FILE.attribute, CA_FILE.variable
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
        let here = files.path().join("here").display().to_string();
        fs::write(&here, "no certificate").unwrap();
        let variable = ("ZOOM_LOG_ENGINE_URL", "http://there");
        let url = |config: &[(&str, Value)]| settings(config, &[variable]).unwrap().map(|found| found.url);
        assert_eq!(url(&[]).as_deref(), Some("http://there"));
        assert_eq!(
            url(&[("engine_url", "http://here".into())]).as_deref(),
            Some("http://here")
        );
        assert_eq!(url(&[("engine_url", "".into())]).as_deref(), Some("http://there"));
        assert_eq!(
            url(&[("engine_url", Value::Unknown)]),
            None,
            "it is not taken from elsewhere"
        );
        assert!(settings(&[], &[]).unwrap_err().contains("`ZOOM_LOG_ENGINE_URL`"));
        for (path, words) in [
            ("/nowhere/ca.pem", "No such file"),
            (here.as_str(), "no certificate in PEM"),
        ] {
            let error = settings(&[("engine_ca_file", path.into())], &[variable]).unwrap_err();
            assert!(error.contains(words) && error.contains(path), "{error}");
        }
    }
}
