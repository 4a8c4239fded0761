//! Asking Zoom on behalf of a spec that is not stored yet.

use async_trait::async_trait;
use engine_api::{LogType, Secret, SourceSpec};

use super::{CheckFault, SourceCheck};
use crate::zoom::{Credential, Zoom};

#[async_trait]
impl SourceCheck for Zoom {
    async fn check(&self, spec: &SourceSpec, secret: &Secret) -> Vec<(LogType, Option<CheckFault>)> {
        let credential = Credential {
            account_id: spec.account_id.clone(),
            client_id: spec.client_id.clone(),
            client_secret: secret.clone(),
        };
        let verdicts = Self::check(self, &credential, spec.log_types.iter().copied()).await;
        let fault = |error: crate::zoom::Error| CheckFault {
            code: error.code(),
            detail: error.to_string(),
            field: None,
        };
        verdicts
            .into_iter()
            .map(|(log_type, verdict)| (log_type, verdict.err().map(fault)))
            .collect()
    }

    fn budget_account(&self, spec: &SourceSpec) -> String {
        self.budget_key(&spec.account_id)
    }
}
