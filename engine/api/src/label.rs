//! The four kinds of event that users watch for, as labels.
//!
//! A label is added to an event; it never decides whether the event is kept. The rules are data: a table of
//! [`Rule`]s, each of which adds one label. Several labels may fit one event; where none fits, the event is
//! [`UNCLASSIFIED`], which is counted and shown.
//!
//! Zoom's texts are not documented, so the rules look for words that its admin screens and known samples use
//! (category and field names), without regard to case and spacing, and never for a whole text: one save in Zoom's
//! console can change several settings and appears as one row.

use crate::LogType;

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

/// Adds a label to the operation rows that fit all of its conditions; an empty condition fits every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The label it adds.
    pub label: &'static str,
    /// The category is one of these, folded by [`fold`].
    pub categories: &'static [&'static str],
    /// The detail begins with one of these, folded.
    pub detail_starts: &'static [&'static str],
    /// The detail holds one of these as whole words, folded.
    pub detail_words: &'static [&'static str],
    /// The action or the operator holds one of these as whole words, folded.
    pub actor_words: &'static [&'static str],
}

const ANY: Rule = Rule {
    label: UNCLASSIFIED,
    categories: &[],
    detail_starts: &[],
    detail_words: &[],
    actor_words: &[],
};

/// Words of Zoom's SSO and SAML screens. Looked for before account settings, since both may sit under `Account`.
const SSO_WORDS: &[&str] = &[
    "sso",
    "single sign on",
    "saml",
    "vanity url",
    "associated domain",
    "associated domains",
    "response mapping",
    "advanced information mapping",
    "provision user",
    "identity provider",
    "service provider",
    "idp",
    "x 509 certificate",
    "idp certificate",
    "sign in methods",
];

/// The rules that the engine uses as delivered, in the order in which their labels are listed.
pub const BUILT_IN: &[Rule] = &[
    Rule {
        label: SSO,
        detail_words: SSO_WORDS,
        ..ANY
    },
    Rule {
        label: SSO,
        categories: &["sso", "saml", "single sign on"],
        ..ANY
    },
    Rule {
        label: SSO,
        actor_words: &["sso", "saml"],
        ..ANY
    },
    Rule {
        label: ACCOUNT_SETTINGS,
        categories: &[
            "account",
            "account settings",
            "user group",
            "group",
            "groups",
            "group settings",
        ],
        ..ANY
    },
    Rule {
        label: ROLE_AND_LICENSE,
        categories: &["role", "roles", "role management"],
        ..ANY
    },
    Rule {
        label: ROLE_AND_LICENSE,
        categories: &["user", "users", "user settings"],
        detail_starts: &["change role", "change type", "assign role"],
        ..ANY
    },
    Rule {
        label: ROLE_AND_LICENSE,
        categories: &["user", "users"],
        detail_words: &[
            "user role",
            "role",
            "user type",
            "change type",
            "type",
            "license",
            "licenses",
            "licensed",
            "add on",
            "add ons",
        ],
        ..ANY
    },
    Rule {
        label: BILLING,
        categories: &["billing", "subscription", "subscriptions"],
        ..ANY
    },
];

/// The labels of one row. `scratch` is reused between calls, since this runs once for every event.
#[derive(Debug, Default)]
pub struct Labeller {
    category: String,
    detail: String,
    actor: String,
}

impl Labeller {
    /// The labels of a row, each once, in the order of the rules; [`UNCLASSIFIED`] alone where none fits.
    pub fn labels(&mut self, log_type: LogType, row: &Labelled<'_>, into: &mut Vec<&'static str>) {
        into.clear();
        if log_type == LogType::Operation {
            fold_into(row.category, &mut self.category);
            fold_into(row.detail, &mut self.detail);
            fold_into(row.action, &mut self.actor);
            let mut operator = std::mem::take(&mut self.actor);
            operator.push(' ');
            let mut folded = String::new();
            fold_into(row.operator, &mut folded);
            operator.push_str(&folded);
            self.actor = operator;
            for rule in BUILT_IN {
                if !into.contains(&rule.label) && self.fits(rule) {
                    into.push(rule.label);
                }
            }
        }
        if into.is_empty() {
            into.push(UNCLASSIFIED);
        }
    }

    fn fits(&self, rule: &Rule) -> bool {
        let category = rule.categories.is_empty() || rule.categories.contains(&self.category.as_str());
        let start = rule.detail_starts.is_empty()
            || rule
                .detail_starts
                .iter()
                .any(|start| starts_with_words(&self.detail, start));
        let words = rule.detail_words.is_empty()
            || rule
                .detail_words
                .iter()
                .any(|words| holds_words(&self.detail, words));
        let actor = rule.actor_words.is_empty()
            || rule
                .actor_words
                .iter()
                .any(|words| holds_words(&self.actor, words));
        category && start && words && actor
    }
}

/// Folds a text for comparison: lower case, every run of other characters than letters and digits one space.
pub fn fold(text: &str) -> String {
    let mut folded = String::new();
    fold_into(text, &mut folded);
    folded
}

fn fold_into(text: &str, into: &mut String) {
    into.clear();
    for character in text.chars() {
        if character.is_alphanumeric() {
            into.extend(character.to_lowercase());
        } else if !into.ends_with(' ') && !into.is_empty() {
            into.push(' ');
        }
    }
    if into.ends_with(' ') {
        into.pop();
    }
}

fn starts_with_words(folded: &str, words: &str) -> bool {
    folded
        .strip_prefix(words)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn holds_words(folded: &str, words: &str) -> bool {
    folded.match_indices(words).any(|(at, _)| {
        let before = folded
            .as_bytes()
            .get(at.wrapping_sub(1))
            .is_none_or(|&byte| byte == b' ');
        let after = folded
            .as_bytes()
            .get(at + words.len())
            .is_none_or(|&byte| byte == b' ');
        before && after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(category: &str, action: &str, detail: &str) -> Vec<&'static str> {
        let mut labels = Vec::new();
        let row = Labelled {
            category,
            action,
            detail,
            operator: "admin@example.com",
        };
        Labeller::default().labels(LogType::Operation, &row, &mut labels);
        labels
    }

    #[test]
    fn the_known_samples_of_each_kind() {
        let account = [ACCOUNT_SETTINGS];
        assert_eq!(
            labels(
                "Account",
                "Update",
                "Security  - Sign in with Two-Factor Authentication: from On to Off"
            ),
            account
        );
        assert_eq!(labels("User Group", "Update", "Edit Group Recruiting "), account);
        assert_eq!(labels("user_group", "Add", "Add Group Engineers"), account);

        let role = [ROLE_AND_LICENSE];
        assert_eq!(
            labels(
                "User",
                "Batch Update",
                "Change Role  - homer.simpson@duff.io: from User to Co-Owner"
            ),
            role
        );
        assert_eq!(
            labels(
                "User",
                "Update",
                "Update User bart@panther.io  - User Role: from Member to Admin"
            ),
            role
        );
        assert_eq!(
            labels(
                "User",
                "SCIM API - Update",
                "Edit User homer@duff.co  - Change Type: from Basic to Licensed"
            ),
            role
        );
        assert_eq!(
            labels(
                "User",
                "Add",
                "Add User homer@simpson.io  - User Type: Basic - Department: Foo"
            ),
            role
        );
        assert_eq!(labels("Role", "Add", "Add Role Auditor"), role);

        assert_eq!(
            labels("Billing", "", "Update billing contact information"),
            [BILLING]
        );
    }

    #[test]
    fn sso_comes_before_account_settings_and_both_are_kept() {
        let both = [SSO, ACCOUNT_SETTINGS];
        assert_eq!(
            labels(
                "Account",
                "Update",
                "Sign-in Methods  - Allow users to sign in with Google: from Off to On"
            ),
            both
        );
        assert_eq!(
            labels(
                "Account",
                "Update",
                "Security  - SAML Response Mapping: set to Department"
            ),
            both
        );
        assert_eq!(labels("Account", "Update", "Vanity URL: from a to b"), both);
        assert_eq!(
            labels(
                "User",
                "SSO - Update",
                "Update User a@example.com  - Job Title: set to X"
            ),
            [SSO]
        );
    }

    #[test]
    fn words_are_whole_words() {
        assert_eq!(
            labels("Channels", "Update", "Update a Channel Crossover"),
            [UNCLASSIFIED]
        );
        assert_eq!(
            labels(
                "User",
                "Update",
                "Update User assorted@example.com  - Job Title: set to Contractor"
            ),
            [UNCLASSIFIED]
        );
        assert_eq!(
            labels("User", "Update", "Activate User a@example.com "),
            [UNCLASSIFIED]
        );
    }

    #[test]
    fn nothing_and_activity_are_unclassified() {
        assert_eq!(labels("", "", ""), [UNCLASSIFIED]);
        let mut found = Vec::new();
        Labeller::default().labels(LogType::Activity, &Labelled::default(), &mut found);
        assert_eq!(found, [UNCLASSIFIED]);
    }
}
