//! What a Zoom account is like, and the apps that may ask it: every switch a test can turn.

use serde::{Deserialize, Serialize};

use super::{limits::Limits, wording::Wording};

/// The plan decides the rate limits, and whether reports are to be had at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    Free,
    Pro,
    Business,
}

/// The order in which a report lists its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// What a page token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageTokens {
    /// An offset into the list as it is when the page is read: a new row shifts all that follow.
    Live,
    /// A place in the list as it was at the first page.
    Snapshot,
}

/// From when the life of a page token counts; no public source tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLifeFrom {
    /// From the page that gave it out, so that a read may take as long as it likes.
    ThatPage,
    /// From the first page: the whole read has to be over in time.
    FirstPage,
}

/// How an answer says that no page follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndToken {
    Empty,
    Null,
    Missing,
}

/// The forms of `Retry-After` that a daily 429 may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    Iso,
    Seconds,
    HttpDate,
    Absent,
}

/// How the daily limit is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daily429 {
    pub retry_after: RetryAfter,
    /// 429 as documented, or 200 as seen.
    pub body_code: u16,
}

impl Default for Daily429 {
    fn default() -> Self {
        Self {
            retry_after: RetryAfter::Iso,
            body_code: 429,
        }
    }
}

/// How a missing scope is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeRefusal {
    /// Code 4711, which names the scope.
    Named,
    /// Code 4700, an older text that also names it.
    Older,
    /// Code 104 in a body that is not JSON, since its quotes are not escaped.
    Malformed,
}

/// How a bad access token is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRefusal {
    /// Status 401 and code 124.
    Usual,
    /// Status 400 and code 124.
    Older,
    /// Status 401 with `errorCode` and no `code`.
    ErrorCode,
    /// Status 401 and code 201.
    Code201,
}

/// The role permissions of the user who authorized the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    pub usage_reports: bool,
    pub admin_activity_logs: bool,
    pub sign_in_sign_out: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            usage_reports: true,
            admin_activity_logs: true,
            sign_in_sign_out: true,
        }
    }
}

/// How one account behaves; the defaults are Zoom's, or the likelier answer where no source settles it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    pub plan: Plan,
    /// Limits other than the plan's.
    pub limits: Option<Limits>,
    pub permissions: Permissions,
    pub order: Order,
    /// Rows of one second come in another order at every request.
    pub unstable_ties: bool,
    pub page_tokens: PageTokens,
    pub page_token_life_secs: u64,
    pub page_token_life_from: TokenLifeFrom,
    pub end_token: EndToken,
    /// Pages hold no more than this, though more follows.
    pub page_cap: Option<u64>,
    pub rate_headers: bool,
    pub daily_429: Daily429,
    pub scope_refusal: ScopeRefusal,
    pub token_refusal: TokenRefusal,
    /// The transport status that goes with body code 300: 400, or 300 as the specification has it.
    pub range_status: u16,
    pub refuse_future_to: bool,
    /// Where the account's days begin, in minutes east of UTC.
    pub day_zone_minutes: i32,
    /// Answers are compressed for a client that accepts it.
    pub gzip: bool,
    /// The activity report echoes its range as instants rather than days.
    pub echo_instants: bool,
    /// How rows are written, whatever they were written like when they were added.
    pub wording: Wording,
    /// How long every answer takes.
    pub latency_millis: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            plan: Plan::Business,
            limits: None,
            permissions: Permissions::default(),
            order: Order::NewestFirst,
            unstable_ties: false,
            page_tokens: PageTokens::Live,
            page_token_life_secs: 900,
            page_token_life_from: TokenLifeFrom::ThatPage,
            end_token: EndToken::Empty,
            page_cap: None,
            rate_headers: true,
            daily_429: Daily429::default(),
            scope_refusal: ScopeRefusal::Named,
            token_refusal: TokenRefusal::Usual,
            range_status: 400,
            refuse_future_to: false,
            day_zone_minutes: 0,
            gzip: false,
            echo_instants: false,
            wording: Wording::default(),
            latency_millis: 0,
        }
    }
}

impl Behaviour {
    pub(super) fn limits(&self) -> Limits {
        self.limits.unwrap_or_else(|| Limits::of(self.plan))
    }
}

/// An app of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    #[serde(default)]
    pub account_id: String,
    pub client_id: String,
    pub client_secret: String,
    #[serde(default = "App::default_scopes")]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub disabled: bool,
    /// False for an app of another type, for which `account_credentials` is an unsupported grant.
    #[serde(default = "yes")]
    pub server_to_server: bool,
    /// A new access token voids the one before, as Zoom did in 2022 and 2023.
    #[serde(default)]
    pub single_token: bool,
    #[serde(default = "App::default_token_life")]
    pub token_life_secs: u64,
    /// Where the app may send browsers back to; an app that people consent to has at least one.
    #[serde(default)]
    pub redirect_urls: Vec<String>,
    /// Access tokens name their account in a claim.
    #[serde(default = "yes")]
    pub account_in_token: bool,
    /// An `api_url` other than the simulator's own, to see who follows it.
    #[serde(default)]
    pub api_url: Option<String>,
}

impl App {
    pub fn new(account_id: &str, client_id: &str, client_secret: &str) -> Self {
        Self {
            account_id: account_id.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            scopes: Self::default_scopes(),
            disabled: false,
            server_to_server: true,
            single_token: false,
            token_life_secs: Self::default_token_life(),
            redirect_urls: Vec::new(),
            account_in_token: true,
            api_url: None,
        }
    }

    /// An account-level app that people consent to.
    pub fn general(account_id: &str, client_id: &str, client_secret: &str, redirect_url: &str) -> Self {
        Self {
            server_to_server: false,
            redirect_urls: vec![redirect_url.to_owned()],
            ..Self::new(account_id, client_id, client_secret)
        }
    }

    fn default_scopes() -> Vec<String> {
        [
            "report:read:operation_logs:admin",
            "report:read:user_activities:admin",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn default_token_life() -> u64 {
        3_600
    }
}

fn yes() -> bool {
    true
}
