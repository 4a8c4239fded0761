//! How long it takes to label a row, and to take its detail apart: `cargo run --release -p engine-api --example labels_speed`.

use std::{hint::black_box, io::Write as _, time::Instant};

use engine_api::{
    LogType,
    detail::Detail,
    label::{Labelled, Labeller},
};

const ROWS: [(&str, &str, &str); 8] = [
    (
        "Account",
        "Update",
        "Security  - Require that all meetings are secured with one security option: from On to Off",
    ),
    (
        "Account",
        "Update",
        "Sign-In Password Requirement  - Have at least specified length of characters: from 8 to 14 - Include at least 1 letter: from On to Off - Include at least 1 number: from On to Off",
    ),
    (
        "User Group",
        "Update",
        "Edit Group Springfield  - Personal Meeting ID (PMI) Passcode: from On to Off",
    ),
    (
        "User",
        "Batch Update",
        "Change Role  - homer.simpson@duff.io: from User to Co-Owner",
    ),
    (
        "User",
        "SCIM API - Update",
        "Edit User homer.simpson@duff.co  - Change Type: from Basic to Licensed",
    ),
    (
        "User",
        "Update",
        "Update User lisa@panther.io  - Job Title: set to Contractor",
    ),
    (
        "Account",
        "Update",
        "Sign-in Methods  - Allow users to sign in with Google: from Off to On",
    ),
    (
        "Channels",
        "Update",
        "Update a Channel TestGroupChannel1  - Cloud Storage Retention: set to  - Name: from TestGroup1 to TestGroupChannel1",
    ),
];

const ROUNDS: usize = 250_000;

fn main() {
    let mut labeller = Labeller::default();
    for _ in 0..3 {
        let label = each(|category, action, detail| {
            let operator = "admin@example.com";
            let row = Labelled {
                category,
                action,
                detail,
                operator,
            };
            let labels = labeller.labels(LogType::Operation, &row);
            labeller.joined(labels).len()
        });
        let parse = each(|_, _, detail| Detail::parse(detail).map_or(0, |detail| detail.changes().count()));
        let _ = writeln!(
            std::io::stdout(),
            "labels: {label} ns a row; detail: {parse} ns a row"
        );
    }
}

/// The nanoseconds that `work` takes for a row.
fn each(mut work: impl FnMut(&str, &str, &str) -> usize) -> u128 {
    let began = Instant::now();
    for _ in 0..ROUNDS {
        for (category, action, detail) in black_box(ROWS) {
            black_box(work(category, action, detail));
        }
    }
    began.elapsed().as_nanos() / (ROUNDS * ROWS.len()) as u128
}
