//! The functions, as configurations call them.

use crate::{engine::Engine, terraform::Terraform};

const CALLS: &str = r#"
locals {
  row = {
    time             = "2026-11-20T09:14:03Z"
    operator         = "admin@example.com"
    category_type    = "User"
    action           = "Batch Update"
    operation_detail = "Change Role  - jo@example.com: from User to Co-Owner"
  }
}

output "all" {
  value = jsonencode({
    role     = provider::zoom::labels(local.row)
    line     = provider::zoom::labels(jsondecode(jsonencode(merge(local.row, { zoom_log = { labels = ["x"] } }))))
    nothing  = provider::zoom::labels({ category_type = "Other", action = "Add", operation_detail = null })
    sign_in  = provider::zoom::labels({ email = "jo@example.com", type = "Sign in" })
    detail   = provider::zoom::parse_operation_detail(local.row.operation_detail)
    to       = provider::zoom::parse_operation_detail("Edit  - Name: set to Jo").changes[0].to
    no_form  = provider::zoom::parse_operation_detail(" ")
  })
}
"#;

#[test]
fn functions_apply_the_engines_own_rules_without_an_engine() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(CALLS);
    terraform.apply().code(0);
    let output = terraform.run(&["output", "-raw", "all"]).code(0);
    let all: serde_json::Value = serde_json::from_str(&output.text).unwrap();
    assert_eq!(all["role"], serde_json::json!(["role_and_license"]));
    assert_eq!(all["line"], all["role"]);
    assert_eq!(all["nothing"], serde_json::json!(["unclassified"]));
    assert_eq!(all["sign_in"], serde_json::json!(["unclassified"]));
    assert_eq!(
        all["detail"],
        serde_json::json!({
            "subject": "Change Role",
            "changes": [{ "field": "jo@example.com", "from": "User", "to": "Co-Owner" }],
        })
    );
    assert_eq!(all["to"], "Jo");
    assert_eq!(all["no_form"], serde_json::Value::Null);
    assert_eq!(engine.requests(), Vec::<String>::new());
}

#[test]
fn what_is_no_row_is_said_to_be_none() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write("output \"labels\" {\n  value = provider::zoom::labels(\"a line\")\n}\n");
    terraform
        .plan()
        .code(1)
        .says("A row is an object or a map")
        .says("jsondecode");
    terraform.write("output \"labels\" {\n  value = provider::zoom::labels({ action = [1] })\n}\n");
    terraform.plan().code(1).says("`action` of a row is text");
}
