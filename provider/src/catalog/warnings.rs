//! What a plan warns of: sources whose configuration is as it should be, and which collect nothing all the same.

use engine_api::{Consent, FeedTrouble, Health, Spec, View};
use tfplug::diagnostics::Diagnostics;

use crate::{connection::Connection, problem::sentence, schema::AUTHORIZATION_URL};

/// Warns of a source that waits for somebody's consent.
pub(super) fn of_consent<S: Spec>(view: &View<S>, diagnostics: &mut Diagnostics) {
    let Some(consent) = &view.consent else { return };
    let (summary, why) = match consent.state {
        Consent::Authorized => return,
        Consent::PendingAuthorization => (
            "The source waits for somebody's consent",
            "Nobody has let it in to Zoom yet (`pending_authorization`)".to_owned(),
        ),
        Consent::ReauthorizationRequired => (
            "Somebody has to consent again",
            "What the last consent gave is void (`reauthorization_required`)".to_owned(),
        ),
    };
    diagnostics.attribute_warning(
        AUTHORIZATION_URL,
        summary,
        format!(
            "{why}, so the source `{}` collects nothing. Open {} in a browser, as an account admin of Zoom or as a \
             service account with the role's permissions, and consent. See step 8 of the guide \
             `docs/guides/zoom-app.md`.",
            view.spec.name(),
            consent.authorization_url
        ),
    );
}

/// Warns of what keeps an object from its work until somebody does something: what is refused, since when, what to do.
/// What may pass by itself is no reason to worry who looks at a plan.
pub(super) async fn of_trouble<S: Spec>(
    view: &View<S>,
    connection: &Connection,
    diagnostics: &mut Diagnostics,
) {
    if S::KIND != engine_api::Kind::Source {
        return;
    }
    let troubles = connection.troubles(&view.id).await;
    let refused = troubles
        .iter()
        .filter(|trouble| trouble.health == Health::Failing);
    // Both log types are mostly refused for one reason.
    let mut told: Vec<(&FeedTrouble, Vec<&str>)> = Vec::new();
    for trouble in refused {
        let same = |known: &&FeedTrouble| known.trouble.detail == trouble.trouble.detail;
        let log_type = trouble.log_type.as_str();
        match told.iter_mut().find(|(known, _)| same(known)) {
            Some((_, log_types)) => log_types.push(log_type),
            None => told.push((trouble, vec![log_type])),
        }
    }
    for (refused, log_types) in told {
        let trouble = &refused.trouble;
        diagnostics.attribute_warning(
            "log_types",
            "The source collects nothing",
            format!(
                "Of the source `{}`, what is collected as {} has been refused since {}. {}\n\nCode: `{}`, see \
                 `docs/errors/{}.md`. It is tried again by itself, so no apply is needed once the cause is gone.",
                view.spec.name(),
                log_types.join(" and "),
                trouble.since.strftime("%Y-%m-%d %H:%M UTC"),
                sentence("", &trouble.detail),
                trouble.code,
                trouble.code
            ),
        );
    }
}
