//! Asking Zoom on behalf of the API: about a spec that is not stored yet, and for people's consents.

use async_trait::async_trait;
use engine_api::{Secret, SourceSpec};

use super::{Answered, CheckFault, Checked, Consents, SourceCheck};
use crate::{
    credential::{Accepted, Credentials, Departure, Unusable},
    store::secrets::SealedSecret,
    zoom::{self, Begun, Zoom},
};

impl From<zoom::Error> for CheckFault {
    fn from(error: zoom::Error) -> Self {
        Self {
            code: error.code(),
            detail: error.to_string(),
            field: None,
        }
    }
}

impl From<Unusable> for CheckFault {
    fn from(unusable: Unusable) -> Self {
        Self {
            code: unusable.code,
            detail: unusable.detail,
            field: None,
        }
    }
}

#[async_trait]
impl SourceCheck for Credentials {
    async fn check(&self, id: &str, spec: &SourceSpec, secret: &Secret) -> Checked {
        let log_types = spec.log_types.iter().copied();
        let credential = match self.with_secret(id, spec, secret.clone()).await {
            Ok(credential) => credential,
            Err(unusable) => {
                let fault = CheckFault::from(unusable);
                let answers = log_types.map(|log_type| (log_type, Some(fault.clone())));
                return Checked {
                    answers: answers.collect(),
                    asked: 0,
                };
            }
        };
        let (verdicts, asked) = self.zoom().check(&credential, log_types).await;
        let answers = verdicts
            .into_iter()
            .map(|(log_type, verdict)| (log_type, verdict.err().map(CheckFault::from)));
        Checked {
            answers: answers.collect(),
            asked,
        }
    }

    fn most_asked(&self, spec: &SourceSpec) -> u64 {
        spec.log_types.len() as u64 * Zoom::MOST_ASKED
    }

    fn budget_account(&self, spec: &SourceSpec) -> String {
        self.zoom().budget_key(spec.cloud, spec.account_key())
    }
}

#[async_trait]
impl Consents for Credentials {
    fn begin(&self, spec: &SourceSpec) -> Result<Begun, CheckFault> {
        Ok(Self::begin(self, spec)?)
    }

    async fn accept(&self, answer: Answered<'_>) -> Result<Accepted, CheckFault> {
        let Answered {
            id,
            spec,
            secret,
            code,
            verifier,
        } = answer;
        Ok(Self::accept(self, id, spec, secret, code, verifier).await?)
    }

    async fn departure(&self, id: &str, spec: &SourceSpec, sealed: &[SealedSecret]) -> Option<Departure> {
        Self::departure(self, id, spec, sealed).await
    }

    async fn revoke(&self, departure: Departure) {
        Self::revoke(self, departure).await;
    }
}
