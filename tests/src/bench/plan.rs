//! `terraform plan` over existing sources, as a ratio to Terraform's own work over as many `terraform_data`.

use std::time::Duration;

use super::{
    Series, Table,
    table::{number, whole},
    timed,
};
use crate::{engine::Engine, terraform::Terraform};

/// How long one run of Terraform may take.
const LATE: Duration = Duration::from_mins(10);

/// What a source is configured with, so that both sides carry the same words.
const ATTRIBUTES: &str = r#"
    name          = "source ${count.index}"
    account_id    = "account-${count.index}"
    client_id     = "cid"
    client_secret = "secret-${count.index}"
    enabled       = false
    verify        = false
"#;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub resources: u32,
    /// Plans of each kind.
    pub pairs: u32,
}

/// Plans over our resources and over Terraform's own, in turns.
///
/// # Panics
///
/// When an apply fails, or a plan has anything to do.
pub async fn measure(options: Options) -> Table {
    // Nobody is asked: the sources are neither verified nor polled.
    let engine = Engine::start_with("http://127.0.0.1:9", &[("log.level", "info")]).await;
    let mut table = Table::new(format!(
        "c. `terraform plan` over {} existing resources, {} plans of each",
        whole(u64::from(options.resources)),
        options.pairs
    ));
    let mut made = Series::default();
    for (name, size) in [("source", options.resources), ("only", 1)] {
        let ours = workspace(&engine, &sources(size, name));
        let theirs = workspace(&engine, &data(size, name));
        made.push_seconds(apply(&ours, size).await);
        apply(&theirs, size).await;
        // One plan of each to warm up, and then in turns.
        let (mut zoom, mut terraform) = (Series::default(), Series::default());
        for pair in 0..=options.pairs {
            let took = [plan(&ours).await, plan(&theirs).await];
            if pair > 0 {
                zoom.push_seconds(took[0]);
                terraform.push_seconds(took[1]);
            }
        }
        let size = whole(u64::from(size));
        table.line(format!("{size} zoom_log_source"), &zoom, "s");
        table.line(format!("{size} terraform_data"), &terraform, "s");
        table.line(
            "zoom_log_source / terraform_data",
            &zoom.over(&terraform),
            "times",
        );
    }
    table.note(format!(
        "The apply that made the {} sources took {} s; plans were empty, as they must be.",
        whole(u64::from(options.resources)),
        number(made.most())
    ));
    table
}

fn workspace(engine: &Engine, text: &str) -> Terraform {
    let terraform = Terraform::new(engine.url(), &engine.token());
    terraform.write("main.tf", text);
    terraform
}

fn sources(size: u32, name: &str) -> String {
    let attributes = ATTRIBUTES.replace("\"source ", &format!("\"{name} "));
    format!(
        "terraform {{\n  required_providers {{\n    zoom = {{ source = \"zoom-log/zoom\" }}\n  }}\n}}\n\
         provider \"zoom\" {{}}\n\
         resource \"zoom_log_source\" \"many\" {{\n  count = {size}\n{attributes}}}\n"
    )
}

fn data(size: u32, name: &str) -> String {
    let attributes = ATTRIBUTES.replace("\"source ", &format!("\"{name} "));
    format!("resource \"terraform_data\" \"many\" {{\n  count = {size}\n  input = {{{attributes}}}\n}}\n")
}

/// Applies, and returns how long that took; each resource must be made.
async fn apply(terraform: &Terraform, size: u32) -> Duration {
    let arguments = ["apply", "-auto-approve", "-no-color", "-parallelism=10"];
    let (took, said) = succeed(terraform, &arguments).await;
    let added = format!("Resources: {size} added");
    assert!(said.contains(&added), "no `{added}` in:\n{said}");
    took
}

/// Plans, and returns how long that took; there must be nothing to do.
async fn plan(terraform: &Terraform) -> Duration {
    succeed(terraform, &["plan", "-no-color", "-detailed-exitcode"])
        .await
        .0
}

async fn succeed(terraform: &Terraform, arguments: &[&str]) -> (Duration, String) {
    let (took, output) = timed::run("terraform", terraform.command(arguments), LATE).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "terraform {arguments:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    (took, said)
}
