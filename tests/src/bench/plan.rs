//! `terraform plan` over existing sources, beside the least that any provider takes for as many resources with the same
//! attributes, and as a ratio to Terraform's own work over as many `terraform_data`.

use std::time::Duration;

use super::{
    Series, Table, floor,
    table::{number, whole},
    timed,
};
use crate::{binaries::Binary, engine::Engine, terraform::Terraform};

/// How long one run of Terraform may take.
const LATE: Duration = Duration::from_mins(10);

/// What a source is configured with, so that all sides carry the same words.
const ATTRIBUTES: &str = r#"
    name          = "source ${count.index}"
    account_id    = "account-${count.index}"
    client_id     = "cid"
    client_secret = "secret-${count.index}"
    enabled       = false
    verify        = false
"#;

/// What Terraform logs at each launch of a provider.
const LAUNCHED: &str = "provider: starting plugin";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub resources: u32,
    /// Plans of each kind.
    pub pairs: u32,
}

/// What a plan goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Our sources.
    Source,
    /// Resources with the attributes of a source, of a provider that does nothing.
    Bare,
    /// Resources with the attributes of `terraform_data`, of the same provider.
    BareData,
    /// Terraform's own.
    Data,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Source, Self::Bare, Self::BareData, Self::Data];

    fn name(self) -> &'static str {
        match self {
            Self::Source => "zoom_log_source",
            Self::Bare => floor::SOURCE,
            Self::BareData => floor::DATA,
            Self::Data => "terraform_data",
        }
    }

    /// Returns the resources in Terraform's language, whose names begin with `name`.
    fn configuration(self, size: u32, name: &str) -> String {
        let attributes = ATTRIBUTES.replace("\"source ", &format!("\"{name} "));
        let attributes = match self {
            Self::Source | Self::Bare => attributes,
            Self::BareData | Self::Data => format!("  input = {{{attributes}}}\n"),
        };
        let provider = match self {
            Self::Source => "zoom",
            Self::Bare | Self::BareData => "floor",
            Self::Data => "",
        };
        let required = if provider.is_empty() {
            String::new()
        } else {
            format!(
                "terraform {{\n  required_providers {{\n    {provider} = {{ source = \"zoom-log/{provider}\" }}\n  }}\n}}\n"
            )
        };
        format!(
            "{required}resource \"{}\" \"many\" {{\n  count = {size}\n{attributes}}}\n",
            self.name()
        )
    }
}

/// A workspace of each kind, all of one size, and applied.
struct Sides {
    size: u32,
    workspaces: [(Kind, Terraform); 4],
    /// How long the apply of the sources took.
    made: Duration,
}

impl Sides {
    async fn make(engine: &Engine, size: u32, name: &str) -> Self {
        let workspaces = Kind::ALL.map(|kind| {
            let provider = match kind {
                Kind::Bare | Kind::BareData => Binary::Floor,
                Kind::Source | Kind::Data => Binary::Provider,
            };
            let terraform = Terraform::with_provider(provider, engine.url(), &engine.token());
            terraform.write("main.tf", &kind.configuration(size, name));
            (kind, terraform)
        });
        let mut made = Duration::ZERO;
        for (kind, terraform) in &workspaces {
            let took = apply(terraform, size).await;
            if *kind == Kind::Source {
                made = took;
            }
        }
        Self {
            size,
            workspaces,
            made,
        }
    }

    fn side(&self, kind: Kind) -> &Terraform {
        let (_, terraform) = self
            .workspaces
            .iter()
            .find(|(side, _)| *side == kind)
            .expect("a side of each kind");
        terraform
    }

    /// Runs Terraform on each side in turns, once to warm up and then `rounds` times.
    async fn time(&self, arguments: &[&str], rounds: u32) -> Times {
        let mut times = [const { Vec::new() }; 4];
        for round in 0..=rounds {
            for ((_, terraform), times) in self.workspaces.iter().zip(&mut times) {
                let (took, _) = succeed(terraform, arguments).await;
                if round > 0 {
                    times.push(took.as_secs_f64());
                }
            }
        }
        Times(times.map(|times| times.into_iter().collect()))
    }

    async fn plans(&self, rounds: u32, table: &mut Table) -> Times {
        // There must be nothing to do.
        let times = self
            .time(&["plan", "-no-color", "-detailed-exitcode"], rounds)
            .await;
        let size = whole(u64::from(self.size));
        for kind in Kind::ALL {
            table.line(format!("{size} {}", kind.name()), times.of(kind), "s");
        }
        times
    }
}

/// How long each round took on each side, in seconds, in the order of [`Kind::ALL`].
struct Times([Series; 4]);

impl Times {
    fn of(&self, kind: Kind) -> &Series {
        &self.0[kind as usize]
    }

    fn ratio(&self, table: &mut Table, kind: Kind, to: Kind) {
        let what = format!("{} / {}", kind.name(), to.name());
        table.line(what, &self.of(kind).over(self.of(to)), "times");
    }
}

/// Plans over our resources, over those of a provider that does nothing and over Terraform's own, in turns.
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
    let many = Sides::make(&engine, options.resources, "source").await;
    let times = many.plans(options.pairs, &mut table).await;
    times.ratio(&mut table, Kind::Source, Kind::Data);
    times.ratio(&mut table, Kind::Bare, Kind::Data);
    times.ratio(&mut table, Kind::BareData, Kind::Data);
    times.ratio(&mut table, Kind::Source, Kind::Bare);
    one(&engine, options.pairs, &mut table).await;
    table.note(format!(
        "The apply that made the {} sources took {} s; plans were empty, as they must be.",
        whole(u64::from(options.resources)),
        number(many.made.as_secs_f64())
    ));
    table
}

/// Measures a plan over one resource: what it takes to start at all.
async fn one(engine: &Engine, rounds: u32, table: &mut Table) {
    let only = Sides::make(engine, 1, "only").await;
    let plans = only.plans(rounds, table).await;
    plans.ratio(table, Kind::Source, Kind::Data);
    let validations = only.time(&["validate", "-no-color"], rounds).await;
    let of_plan = launches(only.side(Kind::Source), "plan").await;
    let of_validation = launches(only.side(Kind::Source), "validate").await;
    let data = validations.of(Kind::Data);
    for kind in [Kind::Source, Kind::Bare] {
        // A validation asks the provider for next to nothing: what it takes longer is what its launches cost.
        let launch = validations
            .of(kind)
            .minus(data)
            .times(1.0 / f64::from(of_validation));
        let name = kind.name();
        table.line(format!("a launch for {name}"), &launch.times(1e3), "ms");
        let cost = launch.median() * f64::from(of_plan);
        let rest: Series = plans.of(kind).iter().map(|took| took - cost).collect();
        table.line(
            format!("1 {name} less {of_plan} launches / terraform_data"),
            &rest.over(plans.of(Kind::Data)),
            "times",
        );
    }
}

/// Returns how often a command launches the provider.
async fn launches(terraform: &Terraform, command: &str) -> u32 {
    let mut logged = terraform.command(&[command, "-no-color"]);
    logged.env("TF_LOG", "DEBUG");
    let (_, output) = timed::run("terraform", logged, LATE).await;
    let log = String::from_utf8_lossy(&output.stderr);
    let launches = log.matches(LAUNCHED).count();
    assert!(launches > 0, "`terraform {command}` logs no `{LAUNCHED}`:\n{log}");
    u32::try_from(launches).expect("a few launches")
}

/// Applies, and returns how long that took; each resource must be made.
async fn apply(terraform: &Terraform, size: u32) -> Duration {
    let arguments = ["apply", "-auto-approve", "-no-color", "-parallelism=10"];
    let (took, said) = succeed(terraform, &arguments).await;
    let added = format!("Resources: {size} added");
    assert!(said.contains(&added), "no `{added}` in:\n{said}");
    took
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
