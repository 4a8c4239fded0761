//! The conformance driver, over the real handshake, on the small provider.

use std::{collections::BTreeMap, fs};

use tfplug::{
    conformance::driver::{Driver, Finding, Step},
    value::{Number, Value},
};

use crate::{
    host::{Host, Link, client},
    provider::dog,
};

async fn begin(host: &Host) -> Driver<Link> {
    let yard = host.directory().join("yard");
    fs::create_dir_all(&yard).unwrap();
    let mut driver = Driver::with_client(client(host.connect().await)).await;
    let config = Value::object([("directory", Value::from(yard.to_str().unwrap()))]);
    driver.configure(&config).await;
    driver
}

/// A dog with a value of every sort.
fn rex() -> Value {
    let collar = [
        ("color", "red".into()),
        ("holes", Value::Null),
        ("serial", Value::Null),
    ];
    let toy = |squeaks: Value| Value::object([("squeaks", squeaks)]);
    let toys = BTreeMap::from([
        ("ball".to_owned(), toy(Value::Null)),
        ("bone".to_owned(), toy(true.into())),
    ]);
    dog(&[
        ("name", "Rex".into()),
        ("weight", "30.1".parse::<Number>().unwrap().into()),
        ("tricks", Value::set(["sit", "roll"])),
        ("nap", "60m".into()),
        ("collar", Value::object(collar)),
        ("toys", Value::Map(toys)),
        ("chip", "marker-of-the-chip".into()),
    ])
}

fn with(base: &Value, change: &[(&str, Value)]) -> Value {
    let mut value = base.clone();
    for (name, changed) in change {
        value.set_attribute(name, changed.clone());
    }
    value
}

#[tokio::test]
async fn dogs_live_as_terraform_wants_it() {
    let host = Host::start();
    let mut driver = begin(&host).await;
    let unknown = Step {
        planned: with(&rex(), &[("nap", Value::Unknown), ("collar", Value::Unknown)]),
        applied: with(&rex(), &[("nap", "2h".into())]),
    };
    let steps = [
        Step::known(rex()),
        Step::known(with(&rex(), &[("nap", "1h".into())])),
        unknown,
        Step::known(with(
            &rex(),
            &[("name", "Bo".into()), ("chip", "another-marker".into())],
        )),
        Step::known(with(&rex(), &[("name", "Bo".into()), ("toys", Value::Null)])),
    ];
    driver.live("kennel_dog", &steps).await;
    assert_eq!(driver.findings(), []);
    assert_eq!(fs::read_dir(host.directory().join("yard")).unwrap().count(), 0);
}

#[tokio::test]
async fn everything_else_is_as_terraform_wants_it() {
    let host = Host::start();
    let mut driver = begin(&host).await;
    let puppy = |id: &str| Step::known(Value::object([("id", id.into())]));
    driver.live("kennel_puppy", &[puppy("bo"), puppy("ada")]).await;
    let whistle = Value::object([("pitch", 3_i64.into()), ("tone", Value::Null)]);
    let opened = driver.open("kennel_whistle", &whistle).await.unwrap();
    assert_eq!(opened.get("tone"), &"fweeep".into());
    let filter = Value::object([("prefix", Value::Null)]);
    assert_eq!(
        driver.list("kennel_dog", &filter, true, 100).await,
        Some(Vec::new())
    );
    let count = Value::object([("dogs", Value::Null)]);
    let count = driver.read_data_source("kennel_count", &count).await.unwrap();
    assert_eq!(count.get("dogs"), &0_i64.into());
    let shown: Vec<String> = driver.findings().iter().map(Finding::to_string).collect();
    // A puppy is read as it was, whether it is there or not.
    assert_eq!(
        shown,
        ["ReadResource of kennel_puppy: X7: : what was deleted is still there"; 2]
    );
}

#[tokio::test]
async fn a_dog_that_misbehaves_is_found() {
    for (trick, rule) in [
        ("lie", "A3"),
        ("unknown", "A8"),
        ("forget", "A10"),
        ("panic", "panicked"),
    ] {
        let host = Host::start();
        let mut driver = begin(&host).await;
        let bad = with(&rex(), &[("trick", trick.into())]);
        driver.live("kennel_dog", &[Step::known(bad)]).await;
        let shown: Vec<String> = driver.findings().iter().map(Finding::to_string).collect();
        assert!(
            shown.iter().any(|finding| finding.contains(rule)),
            "{trick}: {shown:#?}"
        );
    }
}
