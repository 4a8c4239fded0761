//! The pages that errors lead to: one for each code, and each with the step of the guide to go back to.

use std::{collections::BTreeSet, fs};

use e2e::binaries::workspace;
use engine_api::Code;

fn guide() -> String {
    fs::read_to_string(workspace().join("docs/guides/zoom-app.md")).unwrap()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let folder = workspace().join("docs/errors");
    let pages: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(pages, codes);
    for code in Code::ALL {
        let page = fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
        let head = format!(
            "# {}\n\n`{code}` · HTTP status {} · `urn:zoom-log-engine:error:{code}`\n",
            code.title(),
            code.status()
        );
        assert!(page.starts_with(&head), "{code}: {page}");
        for part in ["## What it means\n\n", "## Why\n\n", "## What to do\n\n"] {
            let text = page.split(part).nth(1).unwrap_or_default();
            assert!(
                text.len() > 20 && !text.starts_with('#'),
                "{code} lacks `{}`",
                part.trim()
            );
        }
        let step = code.guide_step();
        let link = step.map(|step| format!("[step {step}](../guides/zoom-app.md#step-{step})"));
        assert_eq!(page.contains("zoom-app.md"), link.is_some(), "{code}");
        assert!(link.is_none_or(|link| page.contains(&link)), "{code}: {page}");
    }
}

#[test]
fn every_step_of_the_guide_names_the_errors_that_lead_there() {
    let guide = guide();
    let steps: Vec<&str> = guide.split("<a id=\"step-").skip(1).collect();
    for code in Code::ALL.iter().filter(|code| code.guide_step().is_some()) {
        let number = code.guide_step().unwrap_or_default();
        let step = steps.get(usize::from(number) - 1).copied().unwrap_or_default();
        assert!(
            step.starts_with(&format!("{number}\"></a>\n## Step {number}: ")),
            "{number}"
        );
        let link = format!("[`{code}`](../errors/{code}.md)");
        assert!(step.contains(&link), "step {number} does not name {code}");
        assert_eq!(guide.matches(&link).count(), 1, "{code} leads to one step");
    }
}
