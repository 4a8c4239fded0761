//! What differs between the kinds of object, beside their specs.

use async_trait::async_trait;
use engine_api::{
    AlarmChannelSpec, Code, ConsentStatus, DestinationSpec, LogType, Only, SourceSpec, Spec, Violation,
    label::UNCLASSIFIED,
};
use tokio::sync::MutexGuard;
use url::Url;

use super::{
    Api, CheckFault, consent,
    failure::{Breach, Failure},
    secrets::Merged,
    stored,
    trial::ask,
};
use crate::{credential::Departure, destination::Kinds};

/// A spec, and the rules that only this engine can judge.
#[async_trait]
pub(super) trait Resource: Spec {
    /// What the spec wants of this engine and cannot have: an address, a path, a label.
    async fn out_of_reach(&self, _api: &Api) -> Result<Vec<Breach>, Failure> {
        Ok(Vec::new())
    }

    /// A turn that is held from the look at the others until the spec is written, where two must not look at once.
    async fn alone<'a>(&self, _api: &'a Api) -> Option<MutexGuard<'a, ()>> {
        None
    }

    /// What another object has already, and only one can have. `before` is the object that the spec is to replace.
    async fn taken(&self, _api: &Api, _before: Option<(&str, &Self)>) -> Result<Option<Breach>, Failure> {
        Ok(None)
    }

    /// Whether a consent that the object has ends with this change of its spec.
    fn ends_consent(&self, _before: &Self) -> bool {
        false
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

    fn ends_consent(&self, before: &Self) -> bool {
        before.needs_consent() && (!self.needs_consent() || self.client_id != before.client_id)
    }

    async fn consent(&self, api: &Api, id: &str) -> Result<Option<ConsentStatus>, Failure> {
        consent::status(api, id, self).await
    }

    async fn departure(api: &Api, id: &str) -> Option<Departure> {
        let (object, sealed) = api.store.object_with_secrets(Self::KIND, id).await.ok()??;
        let spec: Self = stored::spec(&object).ok()?;
        api.consents.departure(id, &spec, &sealed).await
    }

    fn forget(api: &Api, id: &str) {
        api.telemetry.forget_source(id);
    }
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
    async fn alone<'a>(&self, api: &'a Api) -> Option<MutexGuard<'a, ()>> {
        match self.file {
            Some(_) => Some(api.inner.files.lock().await),
            None => None,
        }
    }

    async fn taken(&self, api: &Api, before: Option<(&str, &Self)>) -> Result<Option<Breach>, Failure> {
        shared_file(api, self, before).await
    }

    async fn out_of_reach(&self, api: &Api) -> Result<Vec<Breach>, Failure> {
        let file = refused_path(api, self).await?;
        let http = self
            .http
            .as_ref()
            .and_then(|http| refused_address(api, "http.url", &http.url));
        let labels = self.only.iter().flat_map(|only| unknown_labels(api, only));
        Ok(file.into_iter().chain(http).chain(labels).collect())
    }

    fn forget(api: &Api, id: &str) {
        api.telemetry.forget_destination(id);
    }
}

#[async_trait]
impl Resource for AlarmChannelSpec {
    async fn out_of_reach(&self, api: &Api) -> Result<Vec<Breach>, Failure> {
        let webhook = self.webhook.as_ref();
        let breach = webhook.and_then(|webhook| refused_address(api, "webhook.url", &webhook.url));
        Ok(breach.into_iter().collect())
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

/// What the engine's rule about paths has against a `file` destination's.
async fn refused_path(api: &Api, spec: &DestinationSpec) -> Result<Option<Breach>, Failure> {
    if spec.file.is_none() {
        return Ok(None);
    }
    let refused = at_files(api, spec, |kinds, spec| kinds.check(spec).err()).await?;
    Ok(refused.map(|error| Breach::new(error.code(), "file.path", error.to_string())))
}

/// Another destination that writes the file: each would cut off what the other has written since.
async fn shared_file(
    api: &Api,
    spec: &DestinationSpec,
    before: Option<(&str, &DestinationSpec)>,
) -> Result<Option<Breach>, Failure> {
    // What was accepted once does not stand in the way of other changes.
    if spec.file.is_none() || before.is_some_and(|(_, before)| before.file == spec.file) {
        return Ok(None);
    }
    let others = others(api, before.map(|(id, _)| id)).await?;
    at_files(api, spec, move |kinds, spec| {
        let file = kinds.file_of(spec)?;
        let (id, other) = others
            .into_iter()
            .find(|(_, other)| kinds.file_of(other).as_ref() == Some(&file))?;
        let detail = format!(
            "the destination `{}` ({id}) writes to `{}` already: choose another path, or name that destination in \
             `destination_ids` of the sources whose events belong there",
            other.name,
            file.display()
        );
        Some(Breach::new(Code::PathRefused, "file.path", detail))
    })
    .await
}

/// Runs what asks the file system, which may take its time.
async fn at_files<T: Send + 'static>(
    api: &Api,
    spec: &DestinationSpec,
    look: impl FnOnce(&Kinds, &DestinationSpec) -> T + Send + 'static,
) -> Result<T, Failure> {
    let kinds = Kinds {
        http: api.http.clone(),
        clock: api.clock.clone(),
        file_roots: api.limits.file_roots.as_slice().into(),
    };
    let spec = spec.clone();
    let looked = tokio::task::spawn_blocking(move || look(&kinds, &spec)).await;
    looked.map_err(|error| Failure::internal(format!("a path could not be looked at: {error}")))
}

/// All destinations but one.
async fn others(api: &Api, but: Option<&str>) -> Result<Vec<(String, DestinationSpec)>, Failure> {
    const PAGE: u32 = 500;
    let mut others = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = api
            .store
            .objects(DestinationSpec::KIND, None, after.as_deref(), PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(others);
        };
        after = Some(last.id.clone());
        for object in page.into_iter().filter(|object| Some(object.id.as_str()) != but) {
            let spec = stored::spec(&object)?;
            others.push((object.id, spec));
        }
    }
}

fn refused_address(api: &Api, field: &str, url: &str) -> Option<Breach> {
    // What is no URL breaks a rule of the spec, and is told there.
    let url = Url::parse(url).ok()?;
    let refused = api.http.check_literal(&url).err()?;
    Some(Breach::new(Code::AddressRefused, field, refused.to_string()))
}
