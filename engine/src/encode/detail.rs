//! What an operation changed, field by field, where Zoom's text tells it in its usual form.

use engine_api::detail::Detail;

use super::quote;
use crate::model::scan::{self, Scanner};

/// Writes the member `detail` with a comma before it, given the row from its `operation_detail` on; nothing where that
/// is no text, or does not follow the form of [`engine_api::detail`].
pub(super) fn member(rest: &str, out: &mut String) {
    let mut scanner = Scanner::new(rest);
    let Some(written) = scanner.string() else {
        return;
    };
    let Some(text) = scan::meant(written, scanner.is_escaped()) else {
        return;
    };
    let Some(detail) = Detail::parse(&text) else {
        return;
    };
    out.push_str(",\"detail\":{\"subject\":");
    quote(detail.subject, out);
    out.push_str(",\"changes\":[");
    for (number, change) in detail.changes().enumerate() {
        out.push_str(if number == 0 {
            "{\"field\":"
        } else {
            ",{\"field\":"
        });
        quote(change.field, out);
        out.push_str(",\"from\":");
        match change.from {
            Some(from) => quote(from, out),
            None => out.push_str("null"),
        }
        out.push_str(",\"to\":");
        quote(change.to, out);
        out.push('}');
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use engine_api::LogType;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Row;

    fn written(row: &str) -> Option<Value> {
        let at = Row::parse(LogType::Operation, row).detail_at()?;
        let mut out = String::new();
        member(&row[at as usize..], &mut out);
        let member = out.strip_prefix(",\"detail\":")?;
        Some(serde_json::from_str(member).unwrap())
    }

    #[test]
    fn changes_are_told_with_what_they_were_before() {
        let row = r#"{"a":{"operation_detail":"Not  - me: 1"},"operation_detail":"Edit \"A\"\u0020 - B\\C: from \"x\" to \u00e4\n - D: set to  - E: 1"}"#;
        let expected = json!({
            "subject": "Edit \"A\"",
            "changes": [
                {"field": "B\\C", "from": "\"x\"", "to": "ä\n"},
                {"field": "D", "from": null, "to": ""},
                {"field": "E", "from": null, "to": "1"},
            ],
        });
        assert_eq!(written(row), Some(expected));
        let none = json!({"subject": "Edit Group Recruiting", "changes": []});
        assert_eq!(
            written(r#"{ "operation_detail" : "Edit Group Recruiting " }"#),
            Some(none)
        );
    }

    #[test]
    fn a_row_without_a_detail_that_can_be_read_has_none() {
        for row in [
            "{}",
            "[\"Add Group X\"]",
            "\"Add Group X\"",
            r#"{"operation_detail":null}"#,
            r#"{"operation_detail":7}"#,
            r#"{"operation_detail":""}"#,
            r#"{"operation_detail":"Add Group X","operation_detail":"Add Group Y"}"#,
            r#"{"operation_detail":"Assign admin for channel X  - test@test.com"}"#,
        ] {
            assert_eq!(written(row), None, "{row}");
        }
    }

    proptest! {
        #[test]
        fn any_detail_is_written_as_json_and_always_the_same(text in ".{0,40}", form in "([a-z\"\\\\]| - |  - |: ){0,12}") {
            for text in [text, form] {
                let row = json!({ "operation_detail": text }).to_string();
                let detail = written(&row);
                prop_assert_eq!(&detail, &written(&row));
                let subject = Detail::parse(&text).map(|detail| detail.subject.to_owned());
                prop_assert_eq!(detail.map(|detail| detail["subject"].as_str().unwrap().to_owned()), subject);
            }
        }
    }
}
