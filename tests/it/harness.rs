//! The harness itself: it sees what happens, and nothing that it starts outlives it.

use std::process::Command;

use e2e::{
    leak::Hunt,
    process::{Process, group_is_alive},
    terraform::Terraform,
    wait,
};

fn shell(script: &str) -> Process {
    Process::spawn("a shell", Command::new("sh").args(["-c", script]))
}

#[tokio::test]
async fn a_dropped_process_takes_its_children_with_it() {
    // The child in the background ignores the end of its parent, as a provider may that Terraform leaves behind.
    let mut process = shell("(trap '' TERM HUP; echo deep; while :; do sleep 1; done) & echo ready; wait");
    process.line_with("ready").await;
    process.line_with("deep").await;
    let group = process.pid();
    assert!(group_is_alive(group));
    drop(process);
    // The kernel removes the last of the killed when init has reaped it.
    wait::until_now(wait::LATE, "the group to be gone", || {
        if group_is_alive(group) {
            Err("alive")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn a_process_tells_its_output_and_its_end() {
    let ran = shell("echo out; echo err >&2; exit 3").finish(wait::LATE).await;
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(3), "out\n", "err\n")
    );
    let mut process = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    process.line_with("ready").await;
    process.signal("TERM");
    assert!(process.ended(wait::LATE).await.success());
    assert!(process.kill().contains("bye"));
}

#[tokio::test]
async fn a_workspace_plans_applies_shows_and_is_searched() {
    let mut terraform = Terraform::new("http://127.0.0.1:1", "none");
    terraform.write(
        "main.tf",
        r#"
        variable "word" { sensitive = true }
        resource "terraform_data" "one" { input = var.word }
        "#,
    );
    terraform.variable("word", "marker-in-clear");
    let plan = terraform.plan().await;
    let change = plan.only_change();
    assert_eq!(
        (&*change.address, change.actions),
        ("terraform_data.one", vec!["create".to_owned()])
    );
    // A sensitive value is in the plan file and the state all the same: the search must see it there.
    let hunt = Hunt::new([("the word", "marker-in-clear")]);
    assert!(hunt.in_bytes("plan", plan.ran.all().as_bytes()).is_empty());
    let found = hunt.in_directory(terraform.directory(), &[]);
    assert!(
        found.iter().any(|finding| finding.contains("tfplan:")),
        "{found:?}"
    );

    terraform.apply().await;
    terraform.assert_settled().await;
    assert_eq!(
        terraform.attributes("terraform_data.one").await["output"],
        "marker-in-clear"
    );
    terraform.destroy().await;
    assert_eq!(
        terraform.attributes("terraform_data.one").await,
        serde_json::Value::Null
    );

    terraform.write(
        "broken.tf",
        "resource \"terraform_data\" \"two\" { input = nothing.at_all }\n",
    );
    let errors = terraform.failing_apply().await;
    assert_eq!(errors[0]["range"]["filename"], "broken.tf");
}
