//! Whether Zoom grants what a source needs, asked within the account's budget.

use engine_api::{LogType, Secret, SourceSpec};
use tracing::warn;

use super::{Api, CheckFault, Checked};
use crate::model::{DailyLimit, Day};

/// Asks Zoom about every log type of a source.
pub(super) async fn ask(
    api: &Api,
    id: &str,
    spec: &SourceSpec,
    secret: &Secret,
) -> Vec<(LogType, Option<CheckFault>)> {
    let account = api.source_check.budget_account(spec);
    let (today, most) = (Day::of(api.clock.now()), api.source_check.most_asked(spec));
    // Set aside before they are made, as all requests are. A budget that is used up is no reason to refuse what Zoom
    // grants, nor is a store that cannot count them: with a token in memory the check needs nothing of it.
    if let Err(error) = api.store.count_requests(&account, today, most).await {
        warn!(error = error.chain(), "cannot count the requests of a check");
        return api.source_check.check(id, spec, secret).await.answers;
    }
    let Checked { answers, asked } = api.source_check.check(id, spec, secret).await;
    let unused = most.saturating_sub(asked);
    if let Err(error) = api
        .store
        .give_back(&account, today, unused, DailyLimit::default())
        .await
    {
        warn!(
            error = error.chain(),
            "cannot give back what a check did not need"
        );
    }
    answers
}
