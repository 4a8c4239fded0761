//! What the pages of the resources say beside what the specs say of themselves: the way from the configuration to the
//! logs, and what becomes of secrets.

use engine_api::Kind;

/// Returns the paragraphs that follow the summary of a resource, as Markdown.
pub fn resource(kind: Kind) -> String {
    let (own, reference) = match kind {
        Kind::Source => (SOURCE, "`client_secret_ref`"),
        Kind::Destination => (DESTINATION, "The arguments that end with `_ref`"),
        Kind::AlarmChannel => (ALARM_CHANNEL, "The arguments that end with `_ref`"),
    };
    let verb = if kind == Kind::Source { "lets" } else { "let" };
    format!(
        "{own}\n\n{SECRETS} {reference} {verb} the engine read a secret itself, with every version of Terraform."
    )
}

const SOURCE: &str = "\
Before the engine accepts a source, it checks at Zoom that the reports can be read. From then on it polls them, stores \
each new event durably, delivers it to the destinations, and raises an alarm when events stop. What changes by itself, \
such as the health of each log type, is in the data source `zoom_log_source_status`.

The app is made in the Zoom App Marketplace: a **Server-to-Server OAuth** app, or, with `authorization = \
\"authorization_code\"`, an account-level OAuth app to which somebody consents at `authorization_url`. It takes the scopes \
`report:read:operation_logs:admin` and `report:read:user_activities:admin` (classic: `report:read:admin`), and the role \
of the user behind it *Usage Reports*, *Admin Activity Logs* and *Sign In/Sign Out*. The guide *Making the Zoom app* \
leads through it.";

const DESTINATION: &str = "\
An event is delivered at least once, in the order in which it was collected. What a destination refuses for good \
becomes a dead letter in the engine, from where it can be sent again.";

const ALARM_CHANNEL: &str = "\
A source names its channels in `drop_off_alarm`. Each of them is told when the alarm is raised, and when it is over.";

const SECRETS: &str = "\
A secret stands in the configuration, and never in state or plan. At each plan the engine compares it with the one \
that it holds, so a secret that was changed on either side is found and sent: the plan shows `credential_fingerprint` \
as known after apply. A configuration without the secret, as after an import, keeps the one that the engine holds.";
