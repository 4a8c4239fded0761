//! The built-in table against every public sample and every trap.

use super::{Labelled, Labeller, tests::row};
use crate::LogType;

fn labels(category: &str, action: &str, detail: &str) -> String {
    let mut labeller = Labeller::default();
    let labels = labeller.labels(LogType::Operation, &row(category, action, detail));
    labeller.joined(labels).to_owned()
}

#[track_caller]
fn table(rows: &[(&str, &str, &str, &str)]) {
    for (category, action, detail, expected) in rows {
        assert_eq!(
            labels(category, action, detail),
            *expected,
            "{category} / {action} / {detail}"
        );
    }
}

#[test]
fn account_and_group_settings() {
    table(&[
        (
            "Account",
            "Update",
            "Security  - Sign in with Two-Factor Authentication: from On to Off",
            "account_settings",
        ),
        (
            "Account",
            "Update",
            "Security  - Require that all meetings are secured with one security option: from On to Off",
            "account_settings",
        ),
        (
            "Account",
            "Update",
            "Security  - Automatically sign users out after a specified time: from On to Off",
            "account_settings",
        ),
        (
            "Account",
            "Update",
            "Security  - Require a passcode when scheduling new meetings: from On to Off",
            "account_settings",
        ),
        (
            "Account",
            "Update",
            "Sign-In Password Requirement  - Have at least specified length of characters: from 8 to 14 - Include at least 1 letter: from On to Off - Include at least 1 number: from On to Off",
            "account_settings",
        ),
        (
            "User Group",
            "Update",
            "Edit Group Springfield  - Personal Meeting ID (PMI) Passcode: from On to Off",
            "account_settings",
        ),
        (
            "User Group",
            "Update",
            "Edit Group Recruiting ",
            "account_settings",
        ),
        ("user_group", "Add", "Add Group Engineers", "account_settings"),
        (" USER  GROUP ", "add", "Add Group Engineers", "account_settings"),
        ("Group Settings", "Update", "", "account_settings"),
        (
            "Account",
            "",
            "Change account setting Cloud Recording from ON to OFF",
            "account_settings",
        ),
        (
            "User Settings",
            "Update",
            "Update User Settings a@b.c  - Waiting Room: from Off to On",
            "account_settings",
        ),
    ]);
}

#[test]
fn role_and_license_assignments() {
    table(&[
        (
            "User",
            "Batch Update",
            "Change Role  - homer.simpson@duff.io: from User to Co-Owner",
            "role_and_license",
        ),
        (
            "User",
            "Batch Update",
            "Change Role  - homer.simpson@duff.io: from Member to Billing Admin",
            "role_and_license",
        ),
        (
            "User",
            "Update",
            "Update User bart@panther.io  - User Role: from Member to Admin",
            "role_and_license",
        ),
        (
            "User",
            "SCIM API - Update",
            "Edit User homer.simpson@duff.co  - Change Type: from Basic to Licensed",
            "role_and_license",
        ),
        (
            "User",
            "Add",
            "Add User homer@simpson.io  - User Type: Basic - Department: Foo",
            "role_and_license",
        ),
        // Several changes in one row: the one that counts may stand anywhere.
        (
            "User",
            "Update",
            "Update User a@b.c  - Job Title: set to  - Phone: from 1 - 2 to 3 - License: from Basic to Licensed - X: 1",
            "role_and_license",
        ),
        (
            "user",
            "update",
            "Update User a@b.c  - Add-on Webinar: set to 500",
            "role_and_license",
        ),
        ("Role", "Add", "Add Role Auditor", "role_and_license"),
        (
            "Role",
            "Update",
            "Edit Role Auditor  - Usage reports: from Off to On",
            "role_and_license",
        ),
        (
            "User",
            "Update",
            "Update User lisa@panther.io  - Job Title: set to Contractor",
            "unclassified",
        ),
        (
            "User",
            "Update",
            "Update User role@example.com  - Job Title: set to Role Model",
            "unclassified",
        ),
        ("User", "Update", "Activate User a@example.com ", "unclassified"),
        ("User", "Update", "Deactivate User a@example.com ", "unclassified"),
        (
            "User",
            "Delete",
            "Delete User example@example.com",
            "unclassified",
        ),
    ]);
}

#[test]
fn billing_and_what_is_none_of_the_kinds() {
    table(&[
        ("Billing", "", "Update billing contact information", "billing"),
        (
            "billing",
            "Update",
            "Update Subscription  - Zoom Workplace Business: from 10 to 500",
            "billing",
        ),
        (
            "Channels",
            "Update",
            "Assign admin for channel TestChannel3  - test@test.com",
            "unclassified",
        ),
        (
            "Channels",
            "Update",
            "Update a Channel TestGroupChannel1  - Cloud Storage Retention: set to  - Name: from TestGroup1 to TestGroupChannel1",
            "unclassified",
        ),
        (
            "Team Chat",
            "Search",
            "Search Chat  - Search Date: 03/02/2023 - 03/30/2023",
            "unclassified",
        ),
        ("Recording", "Delete", "", "unclassified"),
        (
            "Zoom Rooms",
            "Update",
            "Edit Room  - Certificate: set to x",
            "unclassified",
        ),
        ("", "", "", "unclassified"),
    ]);
}

#[test]
fn sso_comes_before_account_settings_and_both_are_kept() {
    let both = "sso,account_settings";
    table(&[
        (
            "Account",
            "Update",
            "Sign-in Methods  - Allow users to sign in with Google: from Off to On",
            both,
        ),
        (
            "Account",
            "Update",
            "Sign-in Methods  - Allow users to sign in with Apple ID: from On to Off",
            both,
        ),
        (
            "Account",
            "Update",
            "Single Sign-On  - Identity Provider Certificate: set to  - Vanity URL: from a to b",
            both,
        ),
        (
            "Account",
            "Update",
            "Security  - X.509 Certificate: from a to b",
            both,
        ),
        (
            "Account",
            "Update",
            "SAML Response Mapping  - Department: from ou to department",
            both,
        ),
        (
            "Account",
            "Update",
            "Security  - SAML2 Logout: from On to Off",
            both,
        ),
        ("Account", "Update", "Vanity URL: from a to b", both),
        (
            "Account",
            "Update",
            "Associated Domains  - a.example: set to On",
            both,
        ),
        (
            "Account",
            "Update",
            "SAML Advanced Information Mapping  - User Group: from a to b",
            both,
        ),
        ("Account", "Update", "Provision Users at first sign-in: On", both),
        ("SSO", "Update", "Anything at all", "sso"),
        ("SAML Mapping", "Update", "Anything at all", "sso"),
        // Made by single sign-on, whatever it changes.
        (
            "User",
            "SSO - Update",
            "Update User a@example.com  - Job Title: set to X",
            "sso",
        ),
        (
            "User",
            "SAML Mapping - Update",
            "Edit User a@b.c  - Change Type: from Basic to Licensed",
            "sso,role_and_license",
        ),
        ("User Group", "SSO - Add", "Add Group Engineers", both),
    ]);
    let mut labeller = Labeller::default();
    for (operator, expected) in [
        ("SAML", "sso"),
        ("sso-provisioning@example.com", "sso"),
        ("jo@sso.example.com", "unclassified"),
        ("grasso@example.com", "unclassified"),
    ] {
        let row = Labelled {
            operator,
            ..row("User", "Update", "Edit User a@b.c")
        };
        let labels = labeller.labels(LogType::Operation, &row);
        assert_eq!(labeller.joined(labels), expected, "{operator}");
    }
}

#[test]
fn words_are_whole_words() {
    table(&[
        ("Channels", "Update", "Update a Channel Crossover", "unclassified"),
        (
            "User",
            "Update",
            "Update User assorted@example.com  - Job Title: set to Contractor",
            "unclassified",
        ),
        ("Accounting", "Update", "", "unclassified"),
        ("Subaccount", "Update", "", "unclassified"),
    ]);
}
