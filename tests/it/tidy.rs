//! Rules of the source tree that no compiler holds: who may know whom, how long a file may be, what may not stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use e2e::binaries::{files, workspace};

const LONGEST_FILE: usize = 500;
const LONGEST_LINE: usize = 140;

/// The pure modules, which every other may use.
const PURE: &[&str] = &["model", "retry", "invariant", "crash", "database"];

/// The module table of the design: each module of the engine, and whom it may import beside the pure ones.
const MODULES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("retry", &[]),
    ("invariant", &[]),
    ("crash", &[]),
    ("database", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("vault", &[]),
    ("http", &["clock", "telemetry"]),
    ("store", &["clock", "telemetry"]),
    ("zoom", &["http", "clock", "telemetry"]),
    ("encode", &["http", "clock", "telemetry"]),
    ("destination", &["encode", "http", "clock", "telemetry"]),
    // The master key in use is the store's to say and the vault's to have.
    ("rotation", &["store", "vault", "clock", "telemetry"]),
    // Between adapters and workers: a refresh token must be stored before its access token is used, so the adapter, which
    // sees no store, is handed a keeper that does; polls, checks and consents all need credentials.
    (
        "credential",
        &[
            "store",
            "vault",
            "clock",
            "telemetry",
            "zoom",
            "worker",
            "rotation",
        ],
    ),
    (
        "intake",
        &[
            "store",
            "vault",
            "clock",
            "telemetry",
            "zoom",
            "worker",
            "credential",
        ],
    ),
    (
        "delivery",
        &["store", "vault", "clock", "telemetry", "destination", "worker"],
    ),
    (
        "alarm",
        &["store", "vault", "clock", "telemetry", "destination", "worker"],
    ),
    ("worker", &[]),
    ("peers", &["store", "clock", "telemetry", "worker"]),
    ("service", &["clock", "config"]),
    ("health", &["clock", "config"]),
    ("labels", &["store", "clock"]),
    ("supervisor", &["worker", "clock", "telemetry"]),
    (
        "api",
        &[
            "clock",
            "config",
            "telemetry",
            "http",
            "vault",
            "store",
            "zoom",
            "destination",
            "credential",
            "rotation",
        ],
    ),
];

/// One source file, with its path from the root of the tree.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Returns the lines that are code: no comments, and nothing of a test module at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self
            .text
            .find("\n#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        let lines = self.text[..tests]
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let root = workspace();
    let paths = folders.iter().flat_map(|folder| files(&root.join(folder)));
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        Source {
            path: path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
            text,
        }
    })
    .filter(|source| !source.text.contains("@generated"))
    .collect()
}

fn all_sources() -> Vec<Source> {
    sources(&["engine", "provider", "tests"])
}

#[track_caller]
fn none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

/// Returns the modules that a text of code names directly below `root`: `crate::` or `super::`.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    below(code, root).into_iter().filter_map(word).collect()
}

/// Returns what a text of code has behind each `root`, the members of a brace group one by one.
fn below<'a>(code: &'a str, root: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        // `other_crate::` ends in the same letters.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|character| character.is_alphanumeric() || "_$".contains(character)) {
            continue;
        }
        found.extend(members(&code[at + root.len()..]));
    }
    found
}

/// Returns the members of a brace group, each from its first word on; what is no group is the only one.
fn members(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest];
    };
    let mut depth = 0;
    let mut start = true;
    let mut members = Vec::new();
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !character.is_whitespace() => {
                start = false;
                members.push(&group[at..]);
            }
            _ => {}
        }
    }
    members
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect();
    // A capital is an item of the crate's root, not a module.
    (!word.is_empty() && word.starts_with(|first: char| first.is_lowercase())).then_some(word)
}

#[test]
fn modules_of_the_engine_import_only_whom_they_may() {
    let mut broken = Vec::new();
    for source in sources(&["engine/src"]) {
        let module = Path::new(&source.path).strip_prefix("engine/src").unwrap();
        let module = module.iter().next().unwrap().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        if matches!(module, "lib" | "main") || source.path.ends_with("tests.rs") {
            continue;
        }
        let Some((_, allowed)) = MODULES.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{}: the design has no module `{module}`", source.path));
            continue;
        };
        let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
        for imported in imports(&code.join("\n"), "crate::") {
            let name = imported.as_str();
            if name != module && !allowed.contains(&name) && !PURE.contains(&name) {
                broken.push(format!("{}: `{module}` may not import `{name}`", source.path));
            }
        }
    }
    none("imports that the module table of the design forbids", &broken);
}

/// What each module of a folder below the engine's root imports of its neighbours; the folder's root has what all work
/// with, and tests see everything.
fn neighbours(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let place = format!("engine/src/{folder}");
    let mut all = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources(&[&place]) {
        let path = Path::new(&source.path).strip_prefix(&place).unwrap();
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let module = parts[0].trim_end_matches(".rs");
        if module == "mod" || module.ends_with("tests") || module == "testing" {
            continue;
        }
        let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
        let code = code.join("\n");
        assert!(
            !code.replace(char::is_whitespace, "").contains("super::{super::"),
            "{}: two steps up are written apart, `super::super::`",
            source.path
        );
        let from_the_root = below(&code, "crate::").into_iter();
        let from_the_root = from_the_root.filter_map(|path| path.strip_prefix(&format!("{folder}::")));
        let mut imported: BTreeSet<_> = from_the_root.flat_map(members).filter_map(word).collect();
        // A module's own folder lies one step further down.
        let is_inner = parts.len() > 1 && parts[1] != "mod.rs";
        imported.extend(imports(
            &code,
            if is_inner { "super::super::" } else { "super::" },
        ));
        imported.remove(module);
        all.entry(module.to_owned()).or_default().extend(imported);
    }
    all
}

/// One thing leads to the next, and nothing back: the API's table to the handlers, a poll to its reads.
#[test]
fn modules_form_no_circle() {
    let api = neighbours("api");
    assert!(api["table"].contains("objects") && api["objects"].contains("declare"));
    // Each of these is written in another way: alone, in a group of its own, in one from the crate's root.
    let store = neighbours("store");
    assert!(store["copy"].contains("postgres") && store["catalog"].contains("wake"));
    assert!(store["delivery"].contains("engines"));
    let mut circles = Vec::new();
    for entry in fs::read_dir(workspace().join("engine/src")).unwrap() {
        let entry = entry.unwrap();
        let folder = entry.file_name().into_string().unwrap();
        if !entry.path().is_dir() {
            continue;
        }
        let mut left = neighbours(&folder);
        while let Some(free) = left
            .iter()
            .find(|(_, imported)| !imported.iter().any(|name| left.contains_key(name)))
            .map(|(module, _)| module.clone())
        {
            left.remove(&free);
        }
        circles.extend(left.keys().map(|module| format!("{folder}/{module}")));
    }
    none("modules that are in a circle, or import one that is", &circles);
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    let ours = [
        "engine-api",
        "zoom-log-engine",
        "tfplug",
        "tfplug-derive",
        "terraform-provider-zoom",
        "e2e",
    ];
    let allowed: [(&str, &[&str]); 5] = [
        ("engine/api", &[]),
        ("engine", &["engine-api"]),
        // Its tests use itself, with the host's side.
        ("provider/tfplug", &["tfplug-derive", "tfplug"]),
        ("provider/tfplug/derive", &[]),
        ("provider", &["engine-api", "tfplug"]),
    ];
    let mut broken = Vec::new();
    for (folder, allowed) in allowed {
        let manifest = fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("dependencies]").skip(1).flat_map(str::lines);
        for line in dependencies {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if ours.contains(&name) && !allowed.contains(&name) {
                broken.push(format!("{folder} depends on {name}"));
            }
        }
    }
    none("dependencies that the design forbids", &broken);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for source in all_sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            broken.push(format!("{}: {lines} lines, at most {LONGEST_FILE}", source.path));
        }
        // A module's tests beside it are what the module's own words say.
        if !source.text.starts_with("//!") && !source.path.ends_with("tests.rs") {
            broken.push(format!(
                "{}: does not begin with what it is for (`//!`)",
                source.path
            ));
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.chars().count() > LONGEST_LINE && !line.contains('"') {
                broken.push(format!(
                    "{}:{}: longer than {LONGEST_LINE}",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    none("files out of shape", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    // Written in two parts, so that this file does not find itself.
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    let mut broken = Vec::new();
    for source in all_sources() {
        for (number, line) in source.text.lines().enumerate() {
            let mut words = line.split(|character: char| !character.is_alphanumeric());
            // A test that is left out shows nothing, and is soon forgotten.
            if words.any(|word| banned.contains(&word)) || line.contains(concat!("#[ign", "ore")) {
                broken.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    none("notes to ourselves", &broken);
}

#[test]
fn imports_are_found_in_each_way_that_they_are_written() {
    let code = "use crate::{\n    model::{Row, Event},\n    store,\n    Thing,\n};\nuse crate::retry::Policy;\n\
                fn f() -> crate::clock::Clock { other_crate::zoom::x(); $crate::vault }";
    let expected = ["clock", "model", "retry", "store"].map(str::to_owned);
    assert_eq!(imports(code, "crate::"), BTreeSet::from(expected));
    let code = "use super::{\n    Api,\n    super::{Other, guard},\n    body,\n};";
    let expected = ["body", "guard", "super"].map(str::to_owned);
    assert_eq!(imports(code, "super::"), BTreeSet::from(expected));
}
