//! The checks find what is wrong and nothing else: random resources live without a finding, and each sort of lie is
//! found.

mod exchanges;
mod generic;
mod strategies;

use proptest::{prelude::*, test_runner::Config};

use super::driver::{Driver, Step};
use crate::{
    schema::{Attribute, Role, Schema, problems},
    server::Server,
    value::{Dynamic, Value},
    wire::tfplugin6::provider_server::ProviderServer,
};
use generic::{FAILURE, Generic, Lie, Shop};
use strategies::resource;

/// How many random lives one run leads. More find more: the variable `TFPLUG_CASES` sets another number.
fn cases() -> u32 {
    let asked = std::env::var("TFPLUG_CASES").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(300)
}

/// Leads a resource through a life in which every so many writes fail half way, calls the function with its
/// configurations, and returns what was found.
fn live_failing(schema: &Schema, steps: &[Step], lie: Lie, fails: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let shop = Shop::failing(fails);
        let server = ProviderServer::new(Server::new(Generic::new(schema.clone(), lie, shop.clone())));
        let mut driver = Driver::begin(server).await;
        driver.expect_failures(FAILURE);
        driver.configure(&Value::object::<&str>([])).await;
        driver.live("generic_thing", steps).await;
        let arguments: Vec<Value> = steps
            .iter()
            .map(|step| {
                Value::Dynamic(Box::new(Dynamic {
                    ty: schema.ty(),
                    value: step.applied.clone(),
                }))
            })
            .collect();
        let last = driver.call("echo", &arguments).await;
        let mut found: Vec<String> = driver.findings().iter().map(ToString::to_string).collect();
        if lie == Lie::None && shop.count() > 0 {
            found.push(format!("{} things that nobody knows of are left", shop.count()));
        }
        if lie == Lie::None && last.is_none_or(|last| last.ok().as_ref() != arguments.last()) {
            found.push("the function does not return its last argument".to_owned());
        }
        found
    })
}

fn live(schema: &Schema, steps: &[Step], lie: Lie) -> Vec<String> {
    live_failing(schema, steps, lie, 0)
}

proptest! {
    #![proptest_config(Config { cases: cases(), max_shrink_iters: 400, ..Config::default() })]

    /// Whatever the schema is, and whatever is configured, known or not: an honest provider breaks no rule.
    #[test]
    fn honest_lives_break_no_rule(
        (schema, steps) in resource(),
        // Every write that fails is followed by one that does not.
        fails in prop_oneof![Just(0_u64), 2..6_u64],
    ) {
        prop_assert_eq!(problems(&schema, Role::Resource), Vec::<String>::new());
        let shown: Vec<_> = steps.iter().map(|step| (step.planned.reveal(), step.applied.reveal())).collect();
        let found = live_failing(&schema, &steps, Lie::None, fails);
        prop_assert!(found.is_empty(), "{:#?}\n{:#?}\n{:#?}", found, schema, shown);
    }
}

/// A resource on which every lie can be told.
fn plain() -> (Schema, Vec<Step>) {
    let schema = Schema::new([
        Attribute::string("id").computed(),
        Attribute::string("a").required(),
        Attribute::string("b").optional_computed(),
        Attribute::string("secret").write_only(),
    ]);
    let config = |a: &str| {
        Step::known(Value::object([
            ("id", Value::Null),
            ("a", a.into()),
            ("b", Value::Null),
            ("secret", "marker-of-a-secret".into()),
        ]))
    };
    let steps = vec![config("one"), config("two")];
    (schema, steps)
}

#[track_caller]
fn check(lie: Lie, expected: &str) {
    let (schema, steps) = plain();
    let found = live(&schema, &steps, lie);
    assert!(
        found.iter().any(|finding| finding.contains(expected)),
        "{found:#?}"
    );
}

#[test]
fn every_lie_is_found() {
    let (schema, steps) = plain();
    assert_eq!(live(&schema, &steps, Lie::None), Vec::<String>::new());
    check(Lie::AnotherResult, "A3");
    check(Lie::StillUnknown, "A8");
    check(Lie::AnotherRead, "X7");
    check(Lie::Forgets, "A10");
    check(Lie::Tells, "X5");
    check(Lie::Renames, "X3");
    check(Lie::PlansAtRandom, "X2");
    check(Lie::PlansWhatNobodyAsked, "P11");
    check(Lie::ImportsAnother, "X8");
    check(Lie::Refuses, "refused");
    check(Lie::StaysAfterDelete, "still there");
    check(Lie::CountsItsCalls, "X2: : the same arguments");
    check(Lie::TakesOverAnother, "MoveResourceState");
    for (lie, expected) in [
        (
            Lie::LosesWhatItMadeHalf,
            "X6: : a creation that failed half way returned no state",
        ),
        (
            Lie::SaysMadeWhatIsNot,
            "X6: : what a change that failed half way returned is not there",
        ),
    ] {
        let found = live_failing(&schema, &steps, lie, 2);
        assert!(
            found.iter().any(|finding| finding.contains(expected)),
            "{found:#?}"
        );
    }
}
