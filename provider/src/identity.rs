//! How the provider comes by its token: it is given, read from a file, or got for the identity of the pipeline.
//!
//! A pipeline with an identity needs no secret that anybody has to store and rotate: its platform says in a signed token
//! which repository, branch or workspace it is, the engine holds that against its rules (`auth.issuers`), and gives a
//! token that lasts for minutes.

use std::fs;

use engine_api::{Scope, Secret, client::Client};
use tfplug::{
    diagnostics::Diagnostics,
    schema::{Attribute, one_of},
    value::Value,
};

use crate::problem;

/// An attribute of the provider, and the variable that stands in for it.
type Setting = (&'static str, &'static str);

/// The token itself.
pub(crate) const TOKEN: Setting = ("engine_token", "ZOOM_LOG_ENGINE_TOKEN");
const FILE: Setting = ("engine_token_file", "ZOOM_LOG_ENGINE_TOKEN_FILE");
const IDENTITY: Setting = ("identity", "ZOOM_LOG_ENGINE_IDENTITY");
const AUDIENCE: Setting = ("identity_audience", "ZOOM_LOG_ENGINE_IDENTITY_AUDIENCE");
const VARIABLE: Setting = (
    "identity_token_variable",
    "ZOOM_LOG_ENGINE_IDENTITY_TOKEN_VARIABLE",
);
const SCOPE: Setting = ("identity_scope", "ZOOM_LOG_ENGINE_IDENTITY_SCOPE");

const GITHUB: &str = "github_actions";
const GITLAB: &str = "gitlab";
const HCP: &str = "hcp_terraform";

/// Where GitLab's token is where nothing else is said.
const GITLAB_VARIABLE: &str = "ZOOM_LOG_ENGINE_ID_TOKEN";
/// Where HCP Terraform puts its token.
const HCP_VARIABLE: &str = "TFC_WORKLOAD_IDENTITY_TOKEN";
/// No token is longer; a larger file is something else.
const LARGEST_FILE: u64 = 64 << 10;

/// The attributes that say how to come by a token.
pub(crate) fn attributes() -> [Attribute; 6] {
    let or = |(_, variable): Setting| format!("Or in the environment, as `{variable}`.");
    [
        Attribute::string(TOKEN.0).sensitive().describe(format!(
            "The token for the engine's API. One of `engine_token`, `engine_token_file` and `identity` is needed; a token with \
             the scope `read` is enough for a plan. {}",
            or(TOKEN)
        )),
        Attribute::string(FILE.0).describe(format!(
            "A file that holds the token, read anew in each run. {}",
            or(FILE)
        )),
        Attribute::string(IDENTITY.0)
            .validate(one_of([GITHUB, GITLAB, HCP]))
            .describe(format!(
                "The platform that knows this run, instead of a token: `{GITHUB}` (the job needs `id-token: write`), \
                 `{GITLAB}` (with `id_tokens` of the job) or `{HCP}` (with a workload identity audience of the workspace). \
                 What it says is exchanged for a short-lived token of the engine, by the engine's rules `auth.issuers`. {}",
                or(IDENTITY)
            )),
        Attribute::string(AUDIENCE.0).describe(format!(
            "For whom `{GITHUB}` is asked to make its token: the `audience` of the engine's rule. Default: `engine_url`. {}",
            or(AUDIENCE)
        )),
        Attribute::string(VARIABLE.0).describe(format!(
            "The variable of the environment that holds the platform's token. Default: `{GITLAB_VARIABLE}` for `{GITLAB}`, \
             `{HCP_VARIABLE}` for `{HCP}`. {}",
            or(VARIABLE)
        )),
        Attribute::string(SCOPE.0)
            .validate(one_of(Scope::ALL.map(Scope::as_str)))
            .describe(format!(
                "What the token that is got for `identity` has to be good for: `read`, `write` or `admin`. Default: as much \
                 as the engine's rules give. {}",
                or(SCOPE)
            )),
    ]
}

/// What is said of the provider, in its configuration and in the environment.
pub(crate) struct Settings<'a> {
    /// The configuration.
    pub(crate) config: &'a Value,
    /// The environment.
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
}

/// What became of the search for a token.
pub(crate) enum Found {
    /// It is this one.
    Token(Secret),
    /// It depends on something that is not known yet.
    Unknown,
    /// There is none, and the diagnostics say why.
    Failed,
}

impl Settings<'_> {
    fn configured(&self, (attribute, _): Setting) -> Option<String> {
        let value = self.config.get(attribute).as_str();
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|text| !text.is_empty())
    }

    fn either(&self, setting: Setting) -> Option<String> {
        self.configured(setting).or_else(|| self.variable(setting.1))
    }

    /// Finds the token: by the one way that the configuration names, else by the first that the environment names.
    pub(crate) async fn token(&self, client: &Client, url: &str, diagnostics: &mut Diagnostics) -> Found {
        let settings = [TOKEN, FILE, IDENTITY, AUDIENCE, VARIABLE, SCOPE];
        if settings
            .iter()
            .any(|(name, _)| self.config.get(name).is_unknown())
        {
            return Found::Unknown;
        }
        let ways = [TOKEN, FILE, IDENTITY];
        let mut named = ways.iter().filter(|way| self.configured(**way).is_some());
        let way = match (named.next(), named.next()) {
            (Some(first), Some(second)) => {
                diagnostics.attribute_error(
                    second.0,
                    "More than one way to a token",
                    format!("`{}` is set, too. Remove one of them.", first.0),
                );
                return Found::Failed;
            }
            (Some(way), None) => Some(way),
            (None, _) => ways.iter().find(|way| self.variable(way.1).is_some()),
        };
        let Some(&way) = way else {
            diagnostics.attribute_error(
                TOKEN.0,
                "The provider is not configured",
                format!(
                    "Set `{}` in the provider's configuration, or `{}` in the environment; or name a file with `{}`, or the \
                     pipeline's platform with `{}`.",
                    TOKEN.0, TOKEN.1, FILE.0, IDENTITY.0
                ),
            );
            return Found::Failed;
        };
        let text = self.either(way).unwrap_or_default();
        let found = match way {
            FILE => {
                read(&text).map_err(|why| diagnostics.attribute_error(FILE.0, "No token in the file", why))
            }
            IDENTITY => self.exchanged(client, &text, url, diagnostics).await.ok_or(()),
            _ => Ok(Secret::from(text)),
        };
        found.map_or(Found::Failed, Found::Token)
    }

    /// Gets a token for the identity that a platform gives.
    async fn exchanged(
        &self,
        client: &Client,
        platform: &str,
        url: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Secret> {
        let identity = match platform {
            GITHUB => self.github(client, url).await,
            GITLAB => self.in_variable(GITLAB_VARIABLE, "Give the job an `id_tokens` entry of that name"),
            HCP => self.in_variable(
                HCP_VARIABLE,
                "Set `TFC_WORKLOAD_IDENTITY_AUDIENCE` in the workspace",
            ),
            other => Err(format!(
                "`{other}` is no platform that is known: name `{GITHUB}`, `{GITLAB}` or `{HCP}`."
            )),
        };
        let identity = identity
            .map_err(|why| diagnostics.attribute_error(IDENTITY.0, "The pipeline has no identity", why))
            .ok()?;
        let scope = self.either(SCOPE);
        let wanted = scope.as_deref().and_then(Scope::from_word);
        if let Some(word) = scope.filter(|_| wanted.is_none()) {
            let why = format!("`{word}` is not a scope: name `read`, `write` or `admin`.");
            diagnostics.attribute_error(SCOPE.0, "No such scope", why);
            return None;
        }
        match client.exchange(&identity, wanted).await {
            Ok(exchanged) => Some(exchanged.access_token),
            Err(error) => {
                let doing = "exchange the pipeline's identity for a token";
                problem::report(&error, doing, &attributes(), self.config, diagnostics);
                None
            }
        }
    }

    async fn github(&self, client: &Client, url: &str) -> Result<Secret, String> {
        const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
        const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
        let (Some(at), Some(token)) = (self.variable(URL), self.variable(TOKEN)) else {
            return Err(format!(
                "GitHub sets `{URL}` and `{TOKEN}` in a job that may have an identity, and they are not set. Give the job \
                 `permissions: {{ id-token: write }}`."
            ));
        };
        let audience = self.either(AUDIENCE).unwrap_or_else(|| url.to_owned());
        let identity = client.github_identity(&at, &Secret::from(token), &audience).await;
        identity.map_err(|why| problem::sentence("", &why))
    }

    fn in_variable(&self, usual: &str, advice: &str) -> Result<Secret, String> {
        let name = self.either(VARIABLE).unwrap_or_else(|| usual.to_owned());
        let token = self.variable(&name);
        token.map(Secret::from).ok_or_else(|| {
            format!(
                "The variable `{name}` is not set. {advice}, or name another one with `{}`.",
                VARIABLE.0
            )
        })
    }
}

fn read(path: &str) -> Result<Secret, String> {
    let length = fs::metadata(path)
        .map_err(|error| format!("`{path}` cannot be read: {error}."))?
        .len();
    if length > LARGEST_FILE {
        return Err(format!("`{path}` is larger than any token."));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}."))?;
    match text.trim() {
        "" => Err(format!("`{path}` is empty.")),
        token => Ok(Secret::from(token)),
    }
}
