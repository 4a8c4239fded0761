//! The fuzz targets over their corpus and a bounded number of inputs; and that they would find something.

use e2e::fuzz::{Budget, Failure, TARGETS, Target, corpus, run};

/// The same on every machine: what is found here must be found again. `make fuzz` goes further.
const SEED: u64 = 20_261_122;

#[test]
fn every_parser_bears_whatever_it_is_given() {
    for target in TARGETS {
        let taken = run(target, &corpus(target), SEED, Budget::Inputs(3_000))
            .unwrap_or_else(|failure| panic!("{failure}"));
        assert!(taken > 3_000, "{}: {taken}", target.name);
    }
}

/// A parser with a slip: it trusts the count that stands before a list.
fn slips(bytes: &[u8]) {
    let Ok(serde_json::Value::Object(page)) = serde_json::from_slice(bytes) else {
        return;
    };
    let rows = page
        .get("rows")
        .and_then(|rows| rows.as_array().cloned())
        .unwrap_or_default();
    let count = page
        .get("count")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(rows.len() as u64);
    for at in 0..count.min(1_000) {
        let at = usize::try_from(at).unwrap();
        assert!(at < rows.len(), "index {at} of {}", rows.len());
    }
}

#[test]
fn a_planted_slip_is_found_and_cut_down() {
    let planted = Target {
        name: "planted",
        parse: slips,
    };
    let good = br#"{"count":2,"page_size":300,"rows":[{"action":"Add","time":"2026-01-31T12:00:00Z"},{"action":"Delete"}]}"#;
    let corpus = vec![good.to_vec()];
    assert_eq!(
        run(&planted, &corpus, SEED, Budget::Inputs(0)),
        Ok(1),
        "the corpus itself is borne"
    );
    let Failure { input, message, .. } = run(&planted, &corpus, SEED, Budget::Inputs(50_000)).unwrap_err();
    assert!(message.contains("index"), "{message}");
    let text = String::from_utf8(input).unwrap();
    assert!(
        text.contains("count") && text.len() < good.len() / 2,
        "cut down to what it takes: {text}"
    );
}

#[test]
fn a_parser_that_panics_on_one_byte_in_the_middle_is_found() {
    fn hates_nul(bytes: &[u8]) {
        assert!(!bytes.contains(&0), "a zero byte");
    }
    let planted = Target {
        name: "planted",
        parse: hates_nul,
    };
    let failure = run(&planted, &[b"harmless".to_vec()], SEED, Budget::Inputs(5_000)).unwrap_err();
    assert_eq!(
        (failure.input.as_slice(), failure.message.as_str()),
        (&[0][..], "a zero byte")
    );
}
