//! Checks of an answer against its request, as messages.
//!
//! Each function is pure and returns what is broken. An answer with an error among its diagnostics has said itself that
//! it failed, so only what must hold even then is checked.

use std::collections::BTreeSet;

use super::{Violation, rules};
use crate::{
    path::{Path, Step},
    schema::Schema,
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

/// What the provider said of a resource type.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The schema.
    pub schema: Schema,
    /// The type of identities, where it has one.
    pub identity: Option<Type>,
}

/// Reads a value of a message; nothing is null.
///
/// # Errors
///
/// The rule, where it is not of the type.
pub fn decode(value: Option<&wire::DynamicValue>, ty: &Type, rule: &'static str) -> Result<Value, Violation> {
    let read = match value {
        Some(value) if !value.msgpack.is_empty() => Value::from_msgpack(&value.msgpack, ty),
        Some(value) if !value.json.is_empty() => Value::from_json(&value.json, ty),
        _ => Ok(Value::Null),
    };
    read.map_err(|error| Violation::new(rule, &error.path, error.reason))
}

/// Returns whether there is an error among diagnostics.
pub fn failed(diagnostics: &[wire::Diagnostic]) -> bool {
    diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity() != wire::diagnostic::Severity::Warning)
}

fn root(rule: &'static str, sentence: &str) -> Violation {
    Violation::new(rule, &Path::root(), sentence)
}

/// Reads a path of a message.
fn path(wire: &wire::AttributePath) -> Path {
    use wire::attribute_path::step::Selector;
    let steps = wire
        .steps
        .iter()
        .filter_map(|step| match step.selector.as_ref()? {
            Selector::AttributeName(name) => Some(Step::Attribute(name.clone())),
            Selector::ElementKeyString(key) => Some(Step::Key(key.clone())),
            Selector::ElementKeyInt(index) => Some(Step::Index(u64::try_from(*index).unwrap_or(0))),
        });
    steps.collect()
}

fn check_identity(
    contract: &Contract,
    identity: Option<&wire::ResourceIdentityData>,
    before: Option<&wire::ResourceIdentityData>,
    unknown: bool,
    rule: &'static str,
) -> Vec<Violation> {
    let Some(ty) = &contract.identity else {
        return Vec::new();
    };
    let read = |data: Option<&wire::ResourceIdentityData>| {
        decode(data.and_then(|data| data.identity_data.as_ref()), ty, rule)
    };
    match read(identity) {
        Err(violation) => vec![violation],
        Ok(Value::Null) => vec![root(rule, "the identity is missing")],
        Ok(identity) => {
            let before = before
                .and_then(|before| read(Some(before)).ok())
                .filter(Value::is_known);
            rules::identity_stays(ty, before.as_ref(), &identity, unknown)
        }
    }
}

/// Checks a plan: P1 to P15, X3, X4.
pub fn plan(
    contract: &Contract,
    request: &wire::plan_resource_change::Request,
    response: &wire::plan_resource_change::Response,
) -> Vec<Violation> {
    let mut found = Vec::new();
    if response.legacy_type_system {
        found.push(root("P3", "it asks for the leave of the legacy type system"));
    }
    let allowed = request
        .client_capabilities
        .is_some_and(|client| client.deferral_allowed);
    if response.deferred.is_some() && !allowed {
        found.push(root("P15", "it waits, although the host does not allow it"));
    }
    if failed(&response.diagnostics) || response.deferred.is_some() {
        return found;
    }
    let schema = &contract.schema;
    let ty = schema.ty();
    let read = |value: &Option<wire::DynamicValue>| decode(value.as_ref(), &ty, "P3");
    let values = (|| {
        Ok::<_, Violation>((
            read(&request.prior_state)?,
            read(&request.config)?,
            read(&request.proposed_new_state)?,
            read(&response.planned_state)?,
        ))
    })();
    let (prior, config, proposed, planned) = match values {
        Ok(values) => values,
        Err(violation) => {
            found.push(violation);
            return found;
        }
    };
    if proposed.is_null() {
        if !planned.is_null() {
            found.push(root("P2", "a deletion plans something"));
        }
        return found;
    }
    found.extend(rules::plan_follows(schema, &prior, &config, &planned));
    for path in schema.write_only_set(&planned) {
        found.push(Violation::new("P6", &path, "a write-only value is planned"));
    }
    let replace: BTreeSet<Path> = response.requires_replace.iter().map(path).collect();
    if !prior.is_null() {
        found.extend(rules::replacements_exist(&prior, &planned, &replace));
    }
    let renewed = prior.is_null() || !replace.is_empty();
    let before = request.prior_identity.as_ref().filter(|_| !renewed);
    let identity = response.planned_identity.as_ref();
    // What is new may have no identity until it is made.
    if identity.is_some() || !renewed {
        found.extend(check_identity(contract, identity, before, renewed, "P14"));
    }
    if !request.prior_private.is_empty() && response.planned_private.is_empty() {
        found.push(root("X4", "the plan forgets what was remembered"));
    }
    found
}

/// Checks that a plan made again when it is applied agrees with the first: Q2.
pub fn replan(first: &Value, second: &Value) -> Vec<Violation> {
    rules::result_agrees(first, second)
        .into_iter()
        .map(|violation| Violation {
            rule: "Q2",
            ..violation
        })
        .collect()
}

/// Checks a result: A1 to A13, X3.
pub fn apply(
    contract: &Contract,
    request: &wire::apply_resource_change::Request,
    response: &wire::apply_resource_change::Response,
) -> Vec<Violation> {
    let ty = contract.schema.ty();
    let read = |value: &Option<wire::DynamicValue>| decode(value.as_ref(), &ty, "A2");
    let mut found = Vec::new();
    if response.legacy_type_system {
        found.push(root("A2", "it asks for the leave of the legacy type system"));
    }
    let (planned, new) = match (read(&request.planned_state), read(&response.new_state)) {
        (Ok(planned), Ok(new)) => (planned, new),
        (planned, new) => {
            found.extend(planned.err().into_iter().chain(new.err()));
            return found;
        }
    };
    if !new.is_null() {
        found.extend(rules::settled(&contract.schema, &new, ["A2", "A8", "A9"]));
    }
    if failed(&response.diagnostics) {
        return found;
    }
    match (planned.is_null(), new.is_null()) {
        (true, true) => {}
        (true, false) => found.push(root("A10", "something is left of what was deleted")),
        (false, true) => found.push(root("A10", "nothing is left of what was planned")),
        (false, false) => {
            found.extend(rules::result_agrees(&planned, &new));
            let identity = response.new_identity.as_ref();
            found.extend(check_identity(contract, identity, None, false, "A12"));
        }
    }
    found
}

/// Checks what was read: R1 to R4, X3, X4.
pub fn read(
    contract: &Contract,
    request: &wire::read_resource::Request,
    response: &wire::read_resource::Response,
) -> Vec<Violation> {
    let mut found = Vec::new();
    if failed(&response.diagnostics) || response.deferred.is_some() {
        return found;
    }
    match decode(response.new_state.as_ref(), &contract.schema.ty(), "R1") {
        Err(violation) => found.push(violation),
        Ok(Value::Null) => {}
        Ok(state) => {
            found.extend(rules::settled(&contract.schema, &state, ["R1", "R2", "R3"]));
            let (identity, before) = (response.new_identity.as_ref(), request.current_identity.as_ref());
            found.extend(check_identity(contract, identity, before, false, "R4"));
        }
    }
    found
}

/// Checks an upgraded state: U1 to U3.
pub fn upgrade(contract: &Contract, response: &wire::upgrade_resource_state::Response) -> Vec<Violation> {
    if failed(&response.diagnostics) {
        return Vec::new();
    }
    match decode(response.upgraded_state.as_ref(), &contract.schema.ty(), "U2") {
        Err(violation) => vec![violation],
        Ok(state) => rules::settled(&contract.schema, &state, ["U2", "U1", "U3"]),
    }
}

/// Checks an import: I1 to I5.
pub fn import(
    contract: &Contract,
    request: &wire::import_resource_state::Request,
    response: &wire::import_resource_state::Response,
) -> Vec<Violation> {
    if failed(&response.diagnostics) || response.deferred.is_some() {
        return Vec::new();
    }
    let [imported] = response.imported_resources.as_slice() else {
        return vec![root("I1", "not exactly one resource is imported")];
    };
    let mut found = Vec::new();
    if imported.type_name != request.type_name {
        found.push(root("I2", "another type is imported"));
    }
    match decode(imported.state.as_ref(), &contract.schema.ty(), "I4") {
        Err(violation) => found.push(violation),
        Ok(Value::Null) => found.push(root("I4", "nothing is imported")),
        Ok(state) => found.extend(
            contract
                .schema
                .write_only_set(&state)
                .iter()
                .map(|path| Violation::new("I3", path, "a write-only value is imported")),
        ),
    }
    if request.identity.is_some() && imported.identity.is_none() {
        found.push(root("I5", "the identity by which it is imported is missing"));
    }
    found
}

/// Checks a state that was taken over from another type: M1 to M4.
pub fn take_over(contract: &Contract, response: &wire::move_resource_state::Response) -> Vec<Violation> {
    if failed(&response.diagnostics) {
        return Vec::new();
    }
    let mut found = match decode(response.target_state.as_ref(), &contract.schema.ty(), "M4") {
        Err(violation) => vec![violation],
        Ok(Value::Null) => vec![root("M4", "nothing is taken over")],
        Ok(state) => rules::settled(&contract.schema, &state, ["M4", "M1", "M2"]),
    };
    let identity = response.target_identity.as_ref();
    found.extend(check_identity(contract, identity, None, false, "M3"));
    found
}

/// Checks a data source: D1 to D3.
pub fn data_source(schema: &Schema, response: &wire::read_data_source::Response) -> Vec<Violation> {
    if failed(&response.diagnostics) || response.deferred.is_some() {
        return Vec::new();
    }
    match decode(response.state.as_ref(), &schema.ty(), "D1") {
        Err(violation) => vec![violation],
        Ok(Value::Null) => vec![root("D2", "nothing is read")],
        Ok(state) => rules::settled(schema, &state, ["D1", "D3", "D1"]),
    }
}

/// Checks an ephemeral resource that was opened: E1, which is the P rules without a prior state.
pub fn open(
    schema: &Schema,
    request: &wire::open_ephemeral_resource::Request,
    response: &wire::open_ephemeral_resource::Response,
) -> Vec<Violation> {
    if failed(&response.diagnostics) || response.deferred.is_some() {
        return Vec::new();
    }
    let ty = schema.ty();
    let read = |value: &Option<wire::DynamicValue>| decode(value.as_ref(), &ty, "E1");
    match (read(&request.config), read(&response.result)) {
        (Ok(config), Ok(result)) => {
            let mut found = rules::plan_follows(schema, &Value::Null, &config, &result);
            found.extend(rules::settled(schema, &result, ["E1", "E1", "E1"]));
            found
        }
        (config, result) => config.err().into_iter().chain(result.err()).collect(),
    }
}

/// Checks a generated configuration: G1.
pub fn generated(schema: &Schema, response: &wire::generate_resource_config::Response) -> Vec<Violation> {
    if failed(&response.diagnostics) {
        return Vec::new();
    }
    match decode(response.config.as_ref(), &schema.ty(), "G1") {
        Err(violation) => vec![violation],
        Ok(config) => rules::is_configuration(schema, &config),
    }
}

/// Checks one result of a list: L1 and L2.
pub fn listed(contract: &Contract, event: &wire::list_resource::Event, whole: bool) -> Vec<Violation> {
    if !event.diagnostic.is_empty() && event.identity.is_none() {
        return Vec::new();
    }
    let mut found = check_identity(contract, event.identity.as_ref(), None, false, "L1");
    match (whole, &event.resource_object) {
        (true, Some(object)) => match decode(Some(object), &contract.schema.ty(), "L2") {
            Err(violation) => found.push(violation),
            Ok(object) => found.extend(rules::settled(&contract.schema, &object, ["L2", "L2", "L2"])),
        },
        (true, None) => found.push(root("L2", "the resource that was asked for is missing")),
        (false, Some(_)) => found.push(root("L2", "a resource is there that nobody asked for")),
        (false, None) => {}
    }
    found
}

/// Checks that none of these secrets stands in the bytes of an answer: X5.
pub fn keeps_secrets(answer: &impl prost::Message, secrets: &[String]) -> Vec<Violation> {
    let bytes = answer.encode_to_vec();
    let stands = |secret: &&String| {
        !secret.is_empty()
            && bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
    };
    secrets
        .iter()
        .find(stands)
        .map(|_| root("X5", "a write-only value stands in the answer"))
        .into_iter()
        .collect()
}
