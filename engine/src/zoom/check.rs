//! Whether a credential may read what a source asks for: a token, then one row of each report.

use engine_api::LogType;

use super::{Credential, Error, Grant, PageRequest, Repeats, Zoom};
use crate::model::{Day, Window};

/// What a check found for one feed.
pub type FeedVerdict = (LogType, Result<(), Error>);

impl Zoom {
    /// The most report requests that a check makes for each report: each reason to ask again counts once.
    pub const MOST_ASKED: u64 = 4;

    /// Asks for a token and for one row of each report, each judged by itself; answers how many report requests that
    /// took, [`MOST_ASKED`](Self::MOST_ASKED) for each report at most.
    pub async fn check(
        &self,
        credential: &Credential,
        log_types: impl IntoIterator<Item = LogType>,
    ) -> (Vec<FeedVerdict>, u64) {
        let mut asked = 0;
        let today = Day::of(self.now());
        let mut verdicts = Vec::new();
        let renewed = match credential.grant {
            Grant::Account(_) => self.renew(credential).await,
            // The token that is held was given for this very app and secret, and each renewal more is one whose answer
            // may be lost.
            Grant::Consent(_) => self.token(credential).await.map(drop),
        };
        for log_type in log_types {
            let request = PageRequest {
                log_type,
                window: Window::new(today, today),
                page_size: 1,
                page_token: None,
            };
            let mut repeats = Repeats::default();
            let answer = loop {
                if let Err(error) = &renewed {
                    break Err(error.clone());
                }
                asked += 1;
                match self.page(credential, request).await {
                    Ok(_) => break Ok(()),
                    Err(error) => {
                        if let Some(error) = repeats.end(error) {
                            break Err(error);
                        }
                    }
                }
            };
            let found = match answer {
                // Being asked to wait is no refusal: the credential was honoured.
                Ok(()) | Err(Error::Throttled { .. } | Error::DayUsedUp { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            verdicts.push((log_type, found));
        }
        (verdicts, asked)
    }
}
