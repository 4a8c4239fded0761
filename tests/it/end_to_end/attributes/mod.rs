//! Every attribute of every resource, as the schema has it: created, settled, changed behind Terraform's back and found,
//! updated, imported. An attribute that is added to a spec without a recipe here fails.
//!
//! Each attribute has an object of its own, and all of them stand in one configuration, so that the whole suite is a
//! dozen runs of Terraform.

mod recipes;

use std::collections::{BTreeMap, BTreeSet};

use e2e::{
    engine::reference,
    terraform::{Change, Feature, Plan, Terraform, lacks},
};
use serde_json::{Value, json};

pub(super) use self::recipes::Surroundings;
use self::recipes::{Recipe, Sort};
use super::{PROVIDER, Stage};

/// What the provider sets; it may change along with any attribute.
const COMPUTED: [&str; 4] = ["id", "engine_id", "credential_fingerprint", "authorization_url"];

/// One attribute with its object.
struct Case {
    type_name: String,
    path: String,
    recipe: Recipe,
    /// The members of the object, without the attribute.
    members: Value,
}

impl Case {
    fn label(&self) -> String {
        self.path.replace('.', "_")
    }

    fn address(&self) -> String {
        format!("{}.{}", self.type_name, self.label())
    }

    fn kind(&self) -> &'static str {
        match &*self.type_name {
            "zoom_log_source" => "sources",
            "zoom_log_destination" => "destinations",
            _ => "alarm-channels",
        }
    }

    /// The path at which a change of the attribute shows.
    fn shows_at(&self) -> &str {
        match self.recipe.sort {
            Sort::Secret => "credential_fingerprint",
            Sort::Plain | Sort::Replaces => &self.path,
        }
    }
}

/// Puts one JSON over another; null takes a member away.
fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else {
        return;
    };
    for (name, value) in from {
        match value {
            Value::Null => _ = into.remove(name),
            Value::Object(_) if into.get(name).is_some_and(Value::is_object) => merge(&mut into[name], value),
            _ => _ = into.insert(name.clone(), value.clone()),
        }
    }
}

/// Sets what stands at a dotted path.
pub(super) fn set(object: &mut Value, path: &str, value: &Value) {
    let mut at = object;
    for name in path.split('.') {
        at = &mut at[name];
    }
    *at = value.clone();
}

/// Returns what stands at a dotted path; null for nothing.
pub(super) fn get<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |at, name| &at[name])
}

/// Returns the attributes below a block or object of the schema that have a value of their own: the paths of those that
/// can be configured, and of those that cannot.
fn leaves(attributes: &Value, parent: &str, configured: &mut Vec<String>, computed: &mut Vec<String>) {
    for (name, attribute) in attributes.as_object().unwrap() {
        let path = if parent.is_empty() {
            name.clone()
        } else {
            format!("{parent}.{name}")
        };
        if let Some(nested) = attribute.get("nested_type") {
            assert_eq!(
                nested["nesting_mode"], "single",
                "`{path}`: teach this suite about elements"
            );
            leaves(&nested["attributes"], &path, configured, computed);
        } else if attribute["required"] == true || attribute["optional"] == true {
            configured.push(path);
        } else {
            computed.push(path);
        }
    }
}

/// The paths at which two states differ, or at which it is not known yet whether they do. Of collections, the whole.
fn differing(change: &Change) -> BTreeSet<String> {
    fn walk(before: &Value, after: &Value, unknown: &Value, path: &str, found: &mut BTreeSet<String>) {
        let names: BTreeSet<&String> = [before, after, unknown]
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(|object| object.keys())
            .collect();
        let is_map = path.ends_with("headers");
        if names.is_empty() || is_map {
            if before != after || *unknown == Value::Bool(true) {
                found.insert(path.to_owned());
            }
            return;
        }
        for name in names {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            walk(&before[name], &after[name], &unknown[name], &path, found);
        }
    }
    let mut found = BTreeSet::new();
    walk(
        &change.before,
        &change.after,
        &change.after_unknown,
        "",
        &mut found,
    );
    found
}

/// Puts references in the place of secrets, for a Terraform that has no write-only attributes.
fn refer(members: &mut Value) {
    let Value::Object(members) = members else { return };
    for name in [
        "client_secret",
        "password",
        "value",
        "bearer_token",
        "signing_secret",
    ] {
        if members.remove(name).is_some_and(|secret| secret.is_string()) {
            members.insert(format!("{name}_ref"), reference("zoom_client_secret").into());
        }
    }
    members.values_mut().for_each(refer);
}

struct Suite {
    stage: Stage,
    terraform: Terraform,
    cases: Vec<Case>,
    _folder: tempfile::TempDir,
}

impl Suite {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::set_with(&[("vault.ref_dirs", &folder.path().to_string_lossy())]).await;
        let around = Surroundings::make(&stage, folder.path()).await;
        let terraform = stage.terraform();
        terraform.write("provider.tf", PROVIDER);
        let mut cases = cases(&terraform, &around).await;
        if lacks(Feature::WriteOnly) {
            cases.retain(|case| case.recipe.sort != Sort::Secret);
            for case in &mut cases {
                refer(&mut case.members);
            }
        }
        Self {
            stage,
            terraform,
            cases,
            _folder: folder,
        }
    }

    /// Writes a configuration in which every attribute has one of its values.
    fn write(&self, which: fn(&Recipe) -> &Value) {
        let mut resources = json!({});
        for case in &self.cases {
            let mut members = case.members.clone();
            set(&mut members, &case.path, which(&case.recipe));
            resources[&case.type_name][case.label()] = members;
        }
        let text = json!({ "resource": resources }).to_string();
        self.terraform.write("main.tf.json", &text);
    }

    /// Returns the planned changes by address.
    fn changes(plan: &Plan) -> BTreeMap<String, Change> {
        let changes = plan.changes().into_iter();
        changes.map(|change| (change.address.clone(), change)).collect()
    }

    async fn ids(&self) -> BTreeMap<String, String> {
        let state = self.terraform.state().await;
        let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
        let id = |resource: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&resource["address"]), text(&resource["values"]["id"]))
        };
        resources.iter().map(id).collect()
    }

    /// Holds that the engine has what is configured.
    async fn assert_at_engine(&self, which: fn(&Recipe) -> &Value) {
        let ids = self.ids().await;
        for case in &self.cases {
            let id = &ids[&case.address()];
            let spec = self.stage.engine.get(&format!("/v1/{}/{id}", case.kind())).await["spec"].take();
            let expected = match case.recipe.sort {
                Sort::Secret => &Value::Null,
                Sort::Plain | Sort::Replaces => which(&case.recipe),
            };
            assert_eq!(get(&spec, &case.path), expected, "{}", case.address());
        }
    }

    /// Changes every attribute at the engine.
    async fn change_by_hand(&self) {
        let ids = self.ids().await;
        for case in &self.cases {
            let (kind, id) = (case.kind(), &ids[&case.address()]);
            if case.recipe.sort == Sort::Replaces {
                let path = format!("/v1/{kind}/{id}");
                let mut spec = self.stage.engine.get(&path).await["spec"].take();
                set(&mut spec, &case.path, &case.recipe.by_hand);
                let answer = self
                    .stage
                    .engine
                    .ask(reqwest::Method::PUT, &path, Some(&spec))
                    .await;
                assert_eq!(
                    answer.expect(422).json()["code"],
                    "invalid_spec",
                    "{}",
                    case.address()
                );
                continue;
            }
            let change = |spec: &mut Value| set(spec, &case.path, &case.recipe.by_hand);
            self.stage.engine.change(kind, id, change).await;
        }
    }
}

/// Returns a case for each attribute of each resource.
async fn cases(terraform: &Terraform, around: &Surroundings<'_>) -> Vec<Case> {
    let schema = terraform.must(&["providers", "schema", "-json"]).await.stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let ours = &schema["provider_schemas"]["registry.terraform.io/zoom-log/zoom"]["resource_schemas"];
    let (mut cases, mut missing) = (Vec::new(), Vec::new());
    for (type_name, schema) in ours.as_object().unwrap() {
        let (mut configured, mut computed) = (Vec::new(), Vec::new());
        leaves(&schema["block"]["attributes"], "", &mut configured, &mut computed);
        missing.extend(
            computed
                .into_iter()
                .filter(|path| !COMPUTED.contains(&&**path))
                .map(|path| format!("{type_name}.{path} (computed)")),
        );
        for path in configured {
            let Some(recipe) = around.recipe(type_name, &path) else {
                missing.push(format!("{type_name}.{path}"));
                continue;
            };
            let label = path.replace('.', "-");
            let mut members = Surroundings::usual(type_name, &format!("http://127.0.0.1:9/{label}"));
            merge(&mut members, &recipe.beside);
            members["name"] = json!(format!("{type_name}-{label}"));
            cases.push(Case {
                type_name: type_name.clone(),
                path,
                recipe,
                members,
            });
        }
    }
    assert!(
        missing.is_empty(),
        "no recipe in recipes.rs for {}",
        missing.join(", ")
    );
    assert!(cases.len() > 40, "only {} attributes", cases.len());
    cases
}

/// Holds that a plan changes every attribute, and nothing else.
fn assert_each_is_planned(suite: &Suite, plan: &Plan, replaces: bool) {
    let changes = Suite::changes(plan);
    for case in &suite.cases {
        let address = case.address();
        let expected: &[&str] = match case.recipe.sort {
            Sort::Replaces if !replaces => {
                assert!(!changes.contains_key(&address), "{address}: nobody can change it");
                continue;
            }
            Sort::Replaces => &["delete", "create"],
            Sort::Plain | Sort::Secret => &["update"],
        };
        let change = changes
            .get(&address)
            .unwrap_or_else(|| panic!("{address} is not in the plan"));
        assert_eq!(change.actions, expected, "{address}");
        let mut found = differing(change);
        assert!(found.remove(case.shows_at()), "{address}: {found:?}");
        found.retain(|path| !COMPUTED.contains(&&**path));
        assert!(found.is_empty(), "{address} changes {found:?}, too");
    }
    assert!(changes.len() <= suite.cases.len());
}

#[tokio::test]
async fn every_attribute_lives_from_its_creation_to_its_import() {
    let suite = Suite::new().await;
    let terraform = &suite.terraform;
    suite.write(|recipe| &recipe.first);
    terraform.apply().await;
    terraform.assert_settled().await;
    suite.assert_at_engine(|recipe| &recipe.first).await;

    suite.change_by_hand().await;
    let plan = terraform.plan().await;
    assert_eq!(plan.ran.code, Some(2));
    assert_each_is_planned(&suite, &plan, false);
    let refresh = terraform
        .run(&["plan", "-refresh-only", "-no-color", "-detailed-exitcode"])
        .await;
    assert_eq!(refresh.code, Some(2), "{}", refresh.all());
    for case in suite
        .cases
        .iter()
        .filter(|case| case.recipe.sort != Sort::Replaces)
    {
        let told = format!("# {} has changed", case.address());
        assert!(
            refresh.stdout.contains(&told),
            "{told} is not in {}",
            refresh.stdout
        );
    }
    terraform.apply().await;
    suite.assert_at_engine(|recipe| &recipe.first).await;

    suite.write(|recipe| &recipe.second);
    let plan = terraform.plan().await;
    assert_each_is_planned(&suite, &plan, true);
    terraform.must(&["apply", "-no-color", "tfplan"]).await;
    terraform.assert_settled().await;
    suite.assert_at_engine(|recipe| &recipe.second).await;

    let imports: Vec<Value> = suite
        .ids()
        .await
        .into_iter()
        .map(|(address, id)| json!({ "to": address, "id": id }))
        .collect();
    std::fs::remove_file(terraform.path("terraform.tfstate")).unwrap();
    terraform.write("imports.tf.json", &json!({ "import": imports }).to_string());
    let imported = terraform.apply().await;
    let told = format!("{} imported, 0 added, 0 changed, 0 destroyed", suite.cases.len());
    assert!(imported.stdout.contains(&told), "{}", imported.all());
    terraform.assert_settled().await;
}
