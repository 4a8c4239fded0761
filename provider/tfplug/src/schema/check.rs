//! Whether a schema is one that Terraform accepts.
//!
//! Core rejects the whole provider for one wrong attribute, and only at run time. The rules are numbered as S1 and so
//! on; those about blocks, functions and identity do not arise from what this crate lets one write.

use std::collections::BTreeSet;

use super::{Attribute, Kind, Mode, Nesting, Schema};

/// Whose schema it is; some rules depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The provider's own configuration.
    Provider,
    /// A managed resource.
    Resource,
    /// A data source.
    DataSource,
    /// An ephemeral resource.
    Ephemeral,
    /// The `config` block of a list resource.
    List,
    /// An action.
    Action,
}

/// Names that Terraform's language keeps for itself in a resource.
const RESERVED: [&str; 7] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
];

/// Returns what is wrong with a schema, as sentences; nothing for a valid one.
pub fn problems(schema: &Schema, role: Role) -> Vec<String> {
    let mut check = Check {
        role,
        found: Vec::new(),
    };
    if schema.version < 0 {
        check.say("S9", "", "the version is negative");
    }
    for attribute in &schema.attributes {
        let reserved: &[&str] = match role {
            Role::Resource | Role::DataSource | Role::Ephemeral => &RESERVED,
            Role::Provider => &["alias", "version"],
            // Their attributes stand in a `config` block of their own.
            Role::List | Role::Action => &[],
        };
        if reserved.contains(&attribute.name.as_str()) {
            check.say("S13", &attribute.name, "the name is kept by Terraform's language");
        }
    }
    check.attributes(&schema.attributes, "", Surroundings::default());
    check.found
}

/// What surrounds an attribute.
#[derive(Clone, Copy, Default)]
struct Surroundings {
    in_set: bool,
    in_computed: bool,
}

struct Check {
    role: Role,
    found: Vec<String>,
}

impl Check {
    fn say(&mut self, rule: &str, place: &str, sentence: &str) {
        let subject = if place.is_empty() {
            "the schema".to_owned()
        } else {
            format!("`{place}`")
        };
        self.found.push(format!("{rule}: {subject}: {sentence}"));
    }

    fn attributes(&mut self, attributes: &[Attribute], parent: &str, around: Surroundings) {
        let mut names = BTreeSet::new();
        for attribute in attributes {
            let place = if parent.is_empty() {
                attribute.name.clone()
            } else {
                format!("{parent}.{}", attribute.name)
            };
            if !names.insert(&attribute.name) {
                self.say("S8", &place, "the name stands twice");
            }
            if !is_name(&attribute.name) {
                self.say(
                    "S13",
                    &place,
                    "a name is made of `a` to `z`, digits and `_`, and begins with no digit",
                );
            }
            self.attribute(attribute, &place, around);
        }
    }

    fn attribute(&mut self, attribute: &Attribute, place: &str, around: Surroundings) {
        if attribute.write_only {
            if attribute.is_computed() {
                self.say("S13", place, "a write-only attribute is not computed");
            }
            if !matches!(self.role, Role::Resource | Role::Action) {
                self.say(
                    "S13",
                    place,
                    "only resources and actions have write-only attributes",
                );
            }
            if around.in_set {
                self.say("S7", place, "an element of a set has no write-only attributes");
            }
            if around.in_computed {
                self.say("S13", place, "a computed attribute holds no write-only ones");
            }
            if matches!(attribute.kind, Kind::Nested(..)) {
                self.say("S13", place, "nested attributes are write-only one by one");
            }
        }
        if let Some(default) = &attribute.default {
            if attribute.mode != Mode::OptionalComputed {
                self.say(
                    "S14",
                    place,
                    "an attribute with a default is optional and computed",
                );
            }
            if self.role != Role::Resource {
                self.say(
                    "S14",
                    place,
                    "only resources have defaults, since only they have a plan",
                );
            }
            if around.in_set {
                self.say(
                    "S14",
                    place,
                    "a default in an element of a set changes which element it is",
                );
            }
            if let Err(error) = default.conforms(&attribute.ty()) {
                self.say("S14", place, &format!("the default has a wrong type: {error}"));
            } else if !default.is_wholly_known() || default.is_null() {
                self.say("S14", place, "a default is known and not null");
            }
        }
        if attribute.mode == Mode::OptionalComputed && attribute.default.is_none() && around.in_set {
            self.say(
                "S16",
                place,
                "in an element of a set, what is computed where it is not configured makes it look like another element",
            );
        }
        if attribute.same.is_some() && around.in_set {
            self.say(
                "S15",
                place,
                "spellings that mean the same cannot be told apart in a set",
            );
        }
        match &attribute.kind {
            Kind::Plain(ty) => {
                if around.in_set && ty.has_dynamic() {
                    self.say("S7", place, "an element of a set has no dynamic values");
                }
            }
            Kind::Nested(nesting, inner) => {
                let around = Surroundings {
                    in_set: around.in_set || *nesting == Nesting::Set,
                    in_computed: around.in_computed || attribute.mode == Mode::Computed,
                };
                self.attributes(inner, place, around);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
