//! The identity of a pipeline, and the token that the engine gives for it.
//!
//! A pipeline with an identity needs no secret that anybody has to store and rotate: its platform says in a signed token
//! which repository, branch or workspace it is, the engine holds that against its rules (`auth.issuers`), and gives a
//! token that lasts for minutes.

use engine_api::{Scope, Secret, client::Client};
use tfplug::{diagnostics::Diagnostics, schema::Attribute, value::Value};

use crate::{problem, settings::Environment};

/// GitHub Actions.
pub(crate) const GITHUB: &str = "github_actions";
/// GitLab CI.
pub(crate) const GITLAB: &str = "gitlab";
/// HCP Terraform, and Terraform Enterprise.
pub(crate) const HCP: &str = "hcp_terraform";

/// Where GitLab's token is where nothing else is said.
const GITLAB_VARIABLE: &str = "ZOOM_LOG_ENGINE_ID_TOKEN";
/// Where HCP Terraform puts its token.
const HCP_VARIABLE: &str = "TFC_WORKLOAD_IDENTITY_TOKEN";
/// The attribute that errors of the identity are told at.
const AT: &str = "identity";

/// What is said of the pipeline's identity.
#[derive(Debug)]
pub struct Pipeline {
    /// The platform that knows the pipeline.
    pub platform: String,
    /// For whom its token is to be made, where the pipeline decides that.
    pub audience: Option<String>,
    /// The variable that holds its token, where it is not the usual one.
    pub variable: Option<String>,
    /// What the engine's token has to be good for.
    pub scope: Option<String>,
}

impl Pipeline {
    /// Gets a token of the engine at `url`; where there is none, the diagnostics say why.
    pub(crate) async fn token(
        &self,
        client: &Client,
        url: &str,
        environment: &Environment,
        attributes: &[Attribute],
        diagnostics: &mut Diagnostics,
    ) -> Option<Secret> {
        let variable = |name: &str| (environment.0)(name).filter(|text| !text.is_empty());
        let identity = match &*self.platform {
            GITHUB => self.github(client, url, variable).await,
            GITLAB => self.in_variable(
                GITLAB_VARIABLE,
                "Give the job an `id_tokens` entry of that name",
                variable,
            ),
            HCP => self.in_variable(
                HCP_VARIABLE,
                "Set `TFC_WORKLOAD_IDENTITY_AUDIENCE` in the workspace",
                variable,
            ),
            other => Err(format!(
                "`{other}` is no platform that is known: name `{GITHUB}`, `{GITLAB}` or `{HCP}`."
            )),
        };
        let identity = identity
            .map_err(|why| diagnostics.attribute_error(AT, "The pipeline has no identity", why))
            .ok()?;
        let scope = self
            .scope
            .as_deref()
            .map(|word| Scope::from_word(word).ok_or(word))
            .transpose();
        let scope = scope
            .map_err(|word| {
                let why = format!("`{word}` is not a scope: name `read`, `write` or `admin`.");
                diagnostics.attribute_error("identity_scope", "No such scope", why);
            })
            .ok()?;
        match client.exchange(&identity, scope).await {
            Ok(exchanged) => Some(exchanged.access_token),
            Err(error) => {
                let doing = "exchange the pipeline's identity for a token";
                problem::report(&error, doing, attributes, &Value::Null, diagnostics);
                None
            }
        }
    }

    async fn github(
        &self,
        client: &Client,
        url: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, String> {
        const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
        const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
        let (Some(at), Some(token)) = (variable(URL), variable(TOKEN)) else {
            return Err(format!(
                "GitHub sets `{URL}` and `{TOKEN}` in a job that may have an identity, and they are not set. Give the job \
                 `permissions: {{ id-token: write }}`."
            ));
        };
        let audience = self.audience.as_deref().unwrap_or(url);
        let identity = client.github_identity(&at, &Secret::from(token), audience).await;
        identity.map_err(|why| problem::sentence("", &why))
    }

    fn in_variable(
        &self,
        usual: &str,
        advice: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret, String> {
        let name = self.variable.as_deref().unwrap_or(usual);
        let token = variable(name).map(Secret::from);
        token.ok_or_else(|| {
            format!("The variable `{name}` is not set. {advice}, or name another one with `identity_token_variable`.")
        })
    }
}
