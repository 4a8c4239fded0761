//! The words of Zoom's operation log, with every trap that public samples show.
//!
//! Double spaces before the first dash, spaces at the end, hyphens and parentheses in names, `set to` with nothing
//! after it, several changes in one row, a dash between two dates that is no change. Billing and SSO strings are
//! ours, since no real ones are public; the rest stands in published detections and tests as it stands here.
//! `{user}`, `{group}`, `{channel}` and `{number}` are filled in by the generator.

/// One kind of row: its category, its action where it has one, its detail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase {
    pub(super) category: &'static str,
    pub(super) action: Option<&'static str>,
    pub(super) detail: &'static str,
}

const fn phrase(category: &'static str, action: &'static str, detail: &'static str) -> Phrase {
    Phrase {
        category,
        action: Some(action),
        detail,
    }
}

pub(super) const OPERATIONS: &[Phrase] = &[
    // Account and group settings.
    phrase(
        "Account",
        "Update",
        "Security  - Sign in with Two-Factor Authentication: from On to Off",
    ),
    phrase(
        "Account",
        "Update",
        "Security  - Require that all meetings are secured with one security option: from On to Off",
    ),
    phrase(
        "Account",
        "Update",
        "Security  - Automatically sign users out after a specified time: from On to Off",
    ),
    phrase(
        "Account",
        "Update",
        "Security  - Require a passcode when scheduling new meetings: from On to Off",
    ),
    phrase(
        "Account",
        "Update",
        "Sign-In Password Requirement  - Have at least specified length of characters: from 8 to {number} - \
         Include at least 1 letter: from On to Off - Include at least 1 number: from On to Off",
    ),
    phrase(
        "User Group",
        "Update",
        "Edit Group {group}  - Personal Meeting ID (PMI) Passcode: from On to Off",
    ),
    phrase("User Group", "Update", "Edit Group {group} "),
    phrase("User Group", "Add", "Add Group {group}"),
    phrase(
        "User Settings",
        "Update",
        "Update User Settings {user}  - Waiting Room: from Off to On",
    ),
    Phrase {
        category: "Account",
        action: None,
        detail: "Change account setting Cloud Recording from ON to OFF",
    },
    // Roles and licences.
    phrase(
        "User",
        "Batch Update",
        "Change Role  - {user}: from User to Co-Owner",
    ),
    phrase(
        "User",
        "Batch Update",
        "Change Role  - {user}: from Member to Billing Admin",
    ),
    phrase(
        "User",
        "Update",
        "Update User {user}  - User Role: from Member to Admin",
    ),
    phrase(
        "User",
        "SCIM API - Update",
        "Edit User {user}  - Change Type: from Basic to Licensed",
    ),
    phrase(
        "User",
        "Add",
        "Add User {user}  - User Type: Basic - Department: {group}",
    ),
    phrase(
        "Role",
        "Update",
        "Edit Role {group}  - Usage reports: from Off to On",
    ),
    // Billing.
    phrase(
        "Billing",
        "Update",
        "Update Subscription  - Zoom Workplace Business: from {number} to 500",
    ),
    Phrase {
        category: "Billing",
        action: None,
        detail: "Update billing contact information",
    },
    // Single sign-on and SAML mapping.
    phrase(
        "Account",
        "Update",
        "Sign-in Methods  - Allow users to sign in with Google: from Off to On",
    ),
    phrase(
        "Account",
        "Update",
        "Sign-in Methods  - Allow users to sign in with Apple ID: from On to Off",
    ),
    phrase(
        "Account",
        "Update",
        "Single Sign-On  - Identity Provider Certificate: set to  - Vanity URL: from a to b",
    ),
    phrase(
        "Account",
        "Update",
        "SAML Response Mapping  - Department: from ou to department",
    ),
    // None of the four kinds.
    phrase(
        "User",
        "Update",
        "Update User {user}  - Job Title: set to Contractor",
    ),
    phrase("User", "Update", "Activate User {user} "),
    phrase("User", "Update", "Deactivate User {user} "),
    phrase("User", "Delete", "Delete User {user}"),
    phrase(
        "Channels",
        "Update",
        "Assign admin for channel {channel}  - {user}",
    ),
    phrase(
        "Channels",
        "Update",
        "Update a Channel {channel}  - Cloud Storage Retention: set to  - Name: from TestGroup1 to {channel}",
    ),
    phrase(
        "Team Chat",
        "Search",
        "Search Chat  - Search Date: 03/02/2023 - 03/30/2023",
    ),
    phrase(
        "Recording",
        "Delete",
        "Delete Recording {number} - Weekly - All Hands",
    ),
    phrase(
        "Zoom Rooms",
        "Update",
        "Edit Zoom Room {group}  - Passcode: set to ",
    ),
];

pub(super) const USERS: &[&str] = &[
    "homer.simpson@duff.io",
    "lisa@panther.io",
    "bart@panther.io",
    "sjkfhdsf@jdfgkhgd.com",
    "admin-test%1223+123@duff.dev.co",
    "o'brien@example.com",
    "jürgen.müller@example.de",
    "山田@example.jp",
];

pub(super) const GROUPS: &[&str] = &[
    "Springfield",
    "Recruiting",
    "Engineers",
    "R&D - Zürich",
    "Co-Owners (EMEA)",
    "A \"quoted\" group",
];

pub(super) const CHANNELS: &[&str] = &["TestChannel3", "TestGroupChannel1", "ops - night shift"];

pub(super) const CLIENT_TYPES: &[&str] = &["Browser", "mac", "win", "OS"];

pub(super) const VERSIONS: &[&str] = &["5.15.7.21404", "5.9.1.2581", "6.4.10.56141", "-"];
