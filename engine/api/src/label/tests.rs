//! Rules put together, refused and explained, and the labeller against a plain reading of the rules.

use proptest::prelude::*;

use super::*;
use crate::{LogType, detail::Detail};

pub(super) fn row<'a>(category: &'a str, action: &'a str, detail: &'a str) -> Labelled<'a> {
    Labelled {
        category,
        action,
        detail,
        operator: "admin@example.com",
    }
}

#[test]
fn the_table_is_valid_and_written_in_the_form_of_users() {
    let rules = built_in();
    assert!(rules.len() > 10, "the table was read");
    assert_eq!(combine(&[], &rules).unwrap(), rules, "users could write it");
    for rule in &rules {
        assert_eq!(rule.validate(), [], "{}", rule.id);
        assert!(rule.note.ends_with('.'), "{} says how sure it is", rule.id);
        assert!(
            [SSO, ACCOUNT_SETTINGS, ROLE_AND_LICENSE, BILLING].contains(&&*rule.label),
            "{}",
            rule.id
        );
        let members = serde_json::to_value(rule).unwrap();
        let known = |name: &String| Rule::MEMBERS.contains(&name.as_str());
        assert!(members.as_object().unwrap().keys().all(known));
    }
    let order: Vec<_> = Labeller::default()
        .all()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(order, [SSO, ACCOUNT_SETTINGS, ROLE_AND_LICENSE, BILLING]);
}

fn rule(text: &str) -> Rule {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rules_of_ones_own_are_added_take_places_and_are_switched_off() {
    let own = [
        rule(r#"{"id":"deleted","label":"user_deleted","action_contains":["delete"],"category":["user"]}"#),
        rule(r#"{"id":"billing.category","label":"money","category":["billing"]}"#),
        rule(r#"{"id":"sign_ins","label":"sign_in","log_types":["activity"]}"#),
    ];
    let rules = combine(&["account_settings.user_settings".to_owned()], &own).unwrap();
    let mut labeller = Labeller::new(rules).unwrap();
    let mut of = |log_type, category, action| {
        let labels = labeller.labels(log_type, &row(category, action, "Delete User a@b.c"));
        labeller.joined(labels).to_owned()
    };
    assert_eq!(of(LogType::Operation, "User", "Batch Delete"), "user_deleted");
    assert_eq!(of(LogType::Operation, "Billing", "Delete"), "money");
    assert_eq!(of(LogType::Operation, "User Settings", "Delete"), "unclassified");
    assert_eq!(of(LogType::Activity, "", ""), "sign_in");
    assert!(labeller.knows("money") && labeller.knows("unclassified") && !labeller.knows("billing"));
}

#[test]
fn what_is_wrong_with_rules_is_told_at_its_place() {
    let own = [
        rule(r#"{"id":"Upper","label":"a,b","category":["x"]}"#),
        rule(r#"{"id":"none","label":"unclassified"}"#),
        rule(r#"{"id":"none","label":"x","detail_contains":["ok","- "],"field":["a*b"],"log_types":[]}"#),
        rule(r#"{"id":"both","label":"x","detail_contains":["ok"],"log_types":["activity","operation"]}"#),
        rule(r#"{"id":"sso.words","label":"x","field":["ok"]}"#),
    ];
    let disabled = ["sso.word".to_owned(), "sso.words".to_owned()];
    let violations = combine(&disabled, &own).unwrap_err();
    let fields: Vec<_> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "disabled[0]",
            "disabled[1]",
            "rules[0].id",
            "rules[0].label",
            "rules[1].label",
            "rules[1]",
            "rules[2].log_types",
            "rules[2].detail_contains[1]",
            "rules[2].field[0]",
            "rules[2].id",
            "rules[3].log_types",
        ]
    );
    assert!(
        violations[0].message.contains("`sso.words`"),
        "{}",
        violations[0].message
    );
}

#[test]
fn too_many_labels_are_refused() {
    let one = |number: usize| Rule {
        id: format!("r{number}"),
        label: format!("l{number}"),
        category: vec!["x".to_owned()],
        ..Rule::default()
    };
    let mut all = Labeller::new((0..64).map(one).collect()).unwrap();
    let labels = all.labels(LogType::Operation, &row("X", "", ""));
    assert_eq!(all.names(labels).count(), 64);
    assert!(
        Labeller::new((0..65).map(one).collect())
            .unwrap_err()
            .contains("64")
    );
}

#[test]
fn a_fit_is_explained_by_its_words() {
    let labeller = Labeller::default();
    let row = row(
        "User",
        "SSO - Update",
        "Edit User a@b.c  - Change Type: from Basic to Licensed - Type: 1",
    );
    let fits = labeller.explain(LogType::Operation, &row);
    let told: Vec<_> = fits
        .iter()
        .map(|fit| {
            let words = fit.matched.iter();
            let words = words.map(|matched| format!("{}={}", matched.condition.as_str(), matched.word));
            (fit.rule.id.as_str(), words.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        ("sso.by_action", "action_contains=sso"),
        (
            "role_and_license.field",
            "category=user field=change type* field=type",
        ),
        ("role_and_license.words", "category=user detail_contains=licensed"),
    ];
    assert_eq!(told, expected.map(|(id, words)| (id, words.to_owned())));
}

/// The rules read plainly, one by one, text by text.
fn plainly(rules: &[Rule], row: &Labelled<'_>) -> Vec<String> {
    let words = |text: &str| {
        let mut folded = Vec::new();
        fold::fold(text, |byte| folded.push(byte));
        String::from_utf8(folded).unwrap()
    };
    let needle = |word: &String| {
        let folded = words(word);
        if word.ends_with('*') {
            folded.trim_end().to_owned()
        } else {
            folded
        }
    };
    let any = |wanted: &[String], fits: &dyn Fn(&str) -> bool| {
        wanted.is_empty() || wanted.iter().any(|word| fits(&needle(word)))
    };
    let whole = |text: &str, needle: &str| {
        if needle.ends_with(' ') {
            text == needle
        } else {
            text.starts_with(needle)
        }
    };
    let (category, action) = (words(row.category), words(row.action));
    let (operator, detail) = (words(row.operator), words(row.detail));
    let fields: Vec<String> = Detail::parse(row.detail)
        .iter()
        .flat_map(Detail::changes)
        .map(|change| words(change.field))
        .collect();
    let mut found: Vec<String> = Vec::new();
    for rule in rules {
        let fits = any(&rule.category, &|needle| whole(&category, needle))
            && any(&rule.action_contains, &|needle| action.contains(needle))
            && any(&rule.operator_contains, &|needle| operator.contains(needle))
            && any(&rule.detail_starts_with, &|needle| detail.starts_with(needle))
            && any(&rule.detail_contains, &|needle| detail.contains(needle))
            && any(&rule.field, &|needle| {
                fields.iter().any(|field| whole(field, needle))
            });
        if fits && !found.contains(&rule.label) {
            found.push(rule.label.clone());
        }
    }
    found
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let words = || prop::collection::vec("[abc]{1,2}( [abc])?\\*?|@?[aÄß]-?[abc]\\*?", 0..3);
    (words(), words(), words(), words(), words(), words(), "[xyz]").prop_map(
        |(
            category,
            action_contains,
            operator_contains,
            detail_starts_with,
            detail_contains,
            field,
            label,
        )| Rule {
            label,
            category,
            action_contains,
            operator_contains,
            detail_starts_with,
            detail_contains,
            field,
            ..Rule::default()
        },
    )
}

proptest! {
    #[test]
    fn the_labeller_reads_rules_as_they_stand(
        rules in prop::collection::vec(any_rule(), 0..30),
        rows in prop::collection::vec(("[aAbc _-]{0,4}", "[abc -]{0,4}", "[abcä@.]{0,6}", "([abcÄß@]| |  - |: ){0,12}"), 1..10),
    ) {
        let mut labeller = Labeller::new(rules.clone()).unwrap();
        for (category, action, operator, detail) in &rows {
            let row = Labelled { category, action, detail, operator };
            let labels = labeller.labels(LogType::Operation, &row);
            // The labels come in the order in which the rules first name them.
            let names: Vec<_> = labeller.names(labels).filter(|name| *name != UNCLASSIFIED).collect();
            let mut expected = plainly(&rules, &row);
            expected.sort_by_key(|label| rules.iter().position(|rule| rule.label == *label));
            prop_assert_eq!(&names, &expected);
            let mut explained: Vec<_> = labeller.explain(LogType::Operation, &row).iter().map(|fit| fit.rule.label.clone()).collect();
            explained.sort_by_key(|label| rules.iter().position(|rule| rule.label == *label));
            explained.dedup();
            prop_assert_eq!(&names, &explained);
        }
    }

    #[test]
    fn any_row_is_labelled(category: String, action: String, operator: String, detail: String) {
        let mut labeller = Labeller::default();
        let row = Labelled { category: &category, action: &action, detail: &detail, operator: &operator };
        let labels = labeller.labels(LogType::Operation, &row);
        prop_assert!(!labeller.joined(labels).is_empty());
    }
}
