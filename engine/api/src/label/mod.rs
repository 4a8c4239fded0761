//! The four kinds of event that users watch for, as labels.
//!
//! A label is added to an event; it never decides whether the event is kept. The rules are data: a table of
//! [`Rule`]s, each of which adds one label. The table that the engine comes with, [`built_in`], is written in the very
//! form in which users write theirs. Several labels may fit one event, in the order of the rules; where none fits, the
//! event is [`UNCLASSIFIED`], which is counted and shown.
//!
//! Zoom's texts are not documented, so the rules look for words that its admin screens and known samples use, without
//! regard to case and spacing (`fold`), and never for a whole text: one save in Zoom's console can change several
//! settings and appears as one row. Each built-in rule says in its note how sure it is.
//!
//! A [`Labeller`] is a table made ready for many rows.

mod fold;
mod labeller;
mod matcher;
mod rule;
#[cfg(test)]
mod samples_tests;
#[cfg(test)]
mod tests;

pub use self::{
    labeller::{Fit, LabelSet, Labeller, Matched},
    rule::{Condition, Rule, built_in, check_label, combine},
};

/// A change to Account or Group settings.
pub const ACCOUNT_SETTINGS: &str = "account_settings";
/// A change in role or license assignments.
pub const ROLE_AND_LICENSE: &str = "role_and_license";
/// A change to subscriptions under Billing.
pub const BILLING: &str = "billing";
/// A change to the SSO configuration, SSO and SAML mapping included, or one made by that mapping.
pub const SSO: &str = "sso";
/// No rule fits.
pub const UNCLASSIFIED: &str = "unclassified";

/// The fields of a row that rules look at; absent ones are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Labelled<'a> {
    /// `category_type`, such as `User Group`.
    pub category: &'a str,
    /// `action`, such as `Batch Update`.
    pub action: &'a str,
    /// `operation_detail`, free text.
    pub detail: &'a str,
    /// `operator`, usually an e-mail address.
    pub operator: &'a str,
}
