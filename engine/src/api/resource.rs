//! What differs between the kinds of object, beside their specs.

use std::path::{Component, Path};

use async_trait::async_trait;
use engine_api::{
    AlarmChannelSpec, Code, ConsentStatus, DestinationSpec, LogType, Only, Secret, SourceSpec, Spec,
    Violation, label::UNCLASSIFIED,
};
use tracing::warn;
use url::Url;

use super::{
    Api, CheckFault, consent, declare,
    failure::{Breach, Failure},
    secrets::Merged,
};
use crate::{credential::Departure, model::Day};

/// A spec, and the rules that only this engine can judge.
#[async_trait]
pub(super) trait Resource: Spec {
    /// What the spec wants of this engine and cannot have: an address, a path, a label.
    fn out_of_reach(&self, _api: &Api) -> Vec<Breach> {
        Vec::new()
    }

    /// What a change of the spec may not change.
    fn frozen(&self, _before: &Self) -> Vec<Violation> {
        Vec::new()
    }

    /// Tries the object out before it is stored, where its spec wants that and the change calls for it.
    async fn verify(
        &self,
        _api: &Api,
        _id: &str,
        _before: Option<&Self>,
        _secrets: &Merged,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// The consent that the object needs, where it needs one.
    async fn consent(&self, _api: &Api, _id: &str) -> Result<Option<ConsentStatus>, Failure> {
        Ok(None)
    }

    /// What it will take to end the object's consent, once it is removed.
    async fn departure(_api: &Api, _id: &str) -> Option<Departure> {
        None
    }

    /// Forgets what is shown of an object that was removed.
    fn forget(_api: &Api, _id: &str) {}
}

#[async_trait]
impl Resource for SourceSpec {
    fn frozen(&self, before: &Self) -> Vec<Violation> {
        let changed = [
            ("account_id", self.account_id != before.account_id),
            ("cloud", self.cloud != before.cloud),
        ];
        let changed = changed.into_iter().filter(|(_, changed)| *changed);
        changed
            .map(|(field, _)| Violation {
                field: field.to_owned(),
                message: "cannot be changed: another account is another source, so create a new one"
                    .to_owned(),
            })
            .collect()
    }

    async fn verify(
        &self,
        api: &Api,
        id: &str,
        before: Option<&Self>,
        secrets: &Merged,
    ) -> Result<(), Failure> {
        let untried = before.is_none_or(|before| {
            !before.verify
                || secrets.changed("client_secret")
                || self.client_secret_ref != before.client_secret_ref
                || self.client_id != before.client_id
                || self.authorization != before.authorization
                || !self.log_types.is_subset(&before.log_types)
        });
        if !self.verify || !untried {
            return Ok(());
        }
        let Some(secret) = secrets.secret("client_secret") else {
            return Err(Failure::internal(
                "a source without a secret was about to be verified",
            ));
        };
        let mut answers = ask(api, id, self, secret).await;
        // What only a consent can bring is no reason to refuse the spec that the consent needs.
        answers.retain(|(_, fault)| fault.as_ref().is_none_or(|fault| !waits_for_consent(fault.code)));
        Failure::all(breaches(self, answers))
    }

    async fn consent(&self, api: &Api, id: &str) -> Result<Option<ConsentStatus>, Failure> {
        consent::status(api, id, self).await
    }

    async fn departure(api: &Api, id: &str) -> Option<Departure> {
        let (object, sealed) = api.store.object_with_secrets(Self::KIND, id).await.ok()??;
        let spec: Self = declare::parse(&object).ok()?;
        api.consents.departure(id, &spec, &sealed).await
    }

    fn forget(api: &Api, id: &str) {
        api.telemetry.forget_source(id);
    }
}

/// Asks Zoom about every log type of a source.
pub(super) async fn ask(
    api: &Api,
    id: &str,
    spec: &SourceSpec,
    secret: &Secret,
) -> Vec<(LogType, Option<CheckFault>)> {
    let answers = api.source_check.check(id, spec, secret).await;
    // One report request for each log type; a store that cannot count them is no reason to refuse what Zoom grants.
    let account = api.source_check.budget_account(spec);
    let (today, made) = (Day::of(api.clock.now()), answers.len() as u64);
    if let Err(error) = api.store.count_requests(&account, today, made).await {
        warn!(error = error.chain(), "cannot count the requests of a check");
    }
    answers
}

fn waits_for_consent(code: Code) -> bool {
    matches!(
        code,
        Code::PendingAuthorization | Code::ReauthorizationRequired | Code::ZoomOwnerGone
    )
}

/// What Zoom refuses, each at its field; a reason that holds for both log types is told once.
fn breaches(spec: &SourceSpec, answers: Vec<(LogType, Option<CheckFault>)>) -> Vec<Breach> {
    let mut breaches: Vec<Breach> = Vec::new();
    for fault in answers.into_iter().filter_map(|(_, fault)| fault) {
        let field = fault.field.as_deref().or(field_of(fault.code));
        let field = match field {
            Some("client_secret") if spec.client_secret_ref.is_some() => "client_secret_ref",
            Some(field) => field,
            None => "",
        };
        if !breaches
            .iter()
            .any(|known| known.code == fault.code && known.detail == fault.detail)
        {
            breaches.push(Breach::new(fault.code, field, fault.detail));
        }
    }
    breaches
}

/// The field of a source that a refusal is about.
fn field_of(code: Code) -> Option<&'static str> {
    match code {
        Code::ZoomInvalidCredentials => Some("client_secret"),
        Code::ZoomUnknownAccount | Code::ZoomPlanTooLow => Some("account_id"),
        Code::ZoomAppDisabled | Code::ZoomOwnerGone | Code::ZoomTokenRefused | Code::ZoomWrongAppType => {
            Some("client_id")
        }
        Code::ZoomMissingScope | Code::ZoomMissingPermission => Some("log_types"),
        _ => None,
    }
}

#[async_trait]
impl Resource for DestinationSpec {
    fn out_of_reach(&self, api: &Api) -> Vec<Breach> {
        let file = self.file.as_ref().and_then(|file| outside_roots(api, &file.path));
        let http = self
            .http
            .as_ref()
            .and_then(|http| refused_address(api, "http.url", &http.url));
        let labels = self.only.iter().flat_map(|only| unknown_labels(api, only));
        file.into_iter().chain(http).chain(labels).collect()
    }

    fn forget(api: &Api, id: &str) {
        api.telemetry.forget_destination(id);
    }
}

#[async_trait]
impl Resource for AlarmChannelSpec {
    fn out_of_reach(&self, api: &Api) -> Vec<Breach> {
        let webhook = self.webhook.as_ref();
        webhook
            .and_then(|webhook| refused_address(api, "webhook.url", &webhook.url))
            .into_iter()
            .collect()
    }
}

/// Labels that no rule of this engine adds: events with them will never come, and most likely one was mistyped.
fn unknown_labels(api: &Api, only: &Only) -> Vec<Breach> {
    let labeller = &api.limits.labeller;
    let known = labeller.all().iter().map(|label| &**label).chain([UNCLASSIFIED]);
    let known: Vec<_> = known.map(|label| format!("`{label}`")).collect();
    let unknown = only
        .labels
        .iter()
        .flatten()
        .filter(|label| !labeller.knows(label));
    let breach = |label: &String| {
        let detail = format!(
            "names `{label}`, a label that no rule of this engine adds: choose among {}, or first add a rule for it to \
             `labels.rules` in the engine's configuration",
            known.join(", ")
        );
        Breach::new(Code::InvalidSpec, "only.labels", detail)
    };
    unknown.map(breach).collect()
}

/// Judges a path by its text alone; whether a link leads out of a root, the destination sees when it writes.
fn outside_roots(api: &Api, path: &str) -> Option<Breach> {
    let refused = |detail: String| Some(Breach::new(Code::PathRefused, "file.path", detail));
    let path = Path::new(path);
    if !path.components().any(|part| matches!(part, Component::Normal(_))) {
        return refused("the path names no file".to_owned());
    }
    let roots = &api.limits.file_roots;
    if path.is_relative() || roots.iter().any(|root| path.starts_with(root) && path != root) {
        return None;
    }
    let roots: Vec<_> = roots.iter().map(|root| format!("`{}`", root.display())).collect();
    refused(format!(
        "the file must lie under one of the engine's file roots ({}): choose a path there or a relative one, or add \
         the directory to `egress.file_roots`",
        roots.join(", ")
    ))
}

fn refused_address(api: &Api, field: &str, url: &str) -> Option<Breach> {
    // What is no URL breaks a rule of the spec, and is told there.
    let url = Url::parse(url).ok()?;
    let refused = api.http.check_literal(&url).err()?;
    Some(Breach::new(Code::AddressRefused, field, refused.to_string()))
}
