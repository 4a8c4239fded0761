//! Filters over what exists, made from the schema: of every attribute that an object has as a plain value, the value
//! that is looked for.

use tfplug::{
    schema::{Attribute, Kind},
    value::{Type, Value},
};

/// The filter on how names begin.
const NAME_PREFIX: &str = "name_prefix";

/// Returns the filters for objects with these attributes.
pub fn attributes(of: &[Attribute], noun: &str) -> Vec<Attribute> {
    let prefix = Attribute::string(NAME_PREFIX).describe(format!("Only {noun} whose name begins so."));
    let plain = of
        .iter()
        .filter(|attribute| is_filter(attribute))
        .map(|attribute| {
            let ty = attribute.ty();
            let words = if is_collection(&ty) {
                format!("Only {noun} whose `{}` holds all of these.", attribute.name)
            } else {
                format!("Only {noun} with this `{}`.", attribute.name)
            };
            Attribute::plain(&attribute.name, ty).describe(words)
        });
    std::iter::once(prefix).chain(plain).collect()
}

/// Whether an object in this state is one of those that `config` looks for. A filter that is not set lets all pass.
pub fn passes(of: &[Attribute], config: &Value, state: &Value) -> bool {
    let name = state.get("name").as_str().unwrap_or_default();
    let begins = config
        .get(NAME_PREFIX)
        .as_str()
        .is_none_or(|prefix| name.starts_with(prefix));
    begins
        && of
            .iter()
            .filter(|attribute| is_filter(attribute))
            .all(|attribute| {
                let (wanted, has) = (config.get(&attribute.name), state.get(&attribute.name));
                match (wanted.elements(), has.elements()) {
                    _ if wanted.is_null() => true,
                    (Some(wanted), Some(has)) => wanted.iter().all(|element| has.contains(element)),
                    _ => attribute.means_same(wanted, has),
                }
            })
}

fn is_filter(attribute: &Attribute) -> bool {
    !attribute.write_only && attribute.is_configurable() && matches!(attribute.kind, Kind::Plain(_))
}

fn is_collection(ty: &Type) -> bool {
    matches!(ty, Type::Set(_) | Type::List(_))
}

#[cfg(test)]
mod tests {
    use engine_api::SourceSpec;

    use super::*;
    use crate::schema;

    #[test]
    fn an_object_passes_where_every_filter_fits() {
        let source = schema::resource::<SourceSpec>();
        let state = Value::object([
            ("name", Value::from("corp-eu")),
            ("enabled", true.into()),
            ("poll_interval", "60m".into()),
            ("log_types", Value::set(["operation", "activity"])),
            ("account_id", Value::Null),
        ]);
        let filters: Vec<String> = attributes(&source.attributes, "sources")
            .into_iter()
            .map(|attribute| attribute.name)
            .collect();
        assert!(filters.contains(&"account_id".to_owned()) && filters.contains(&NAME_PREFIX.to_owned()));
        assert!(
            !filters
                .iter()
                .any(|name| ["client_secret", "id", "drop_off_alarm"].contains(&name.as_str()))
        );
        let fits = |name: &str, value: Value| {
            let mut config = Value::object(filters.iter().map(|name| (name.clone(), Value::Null)));
            config.set_attribute(name, value);
            passes(&source.attributes, &config, &state)
        };
        assert!(fits("name", Value::Null));
        assert!(fits(NAME_PREFIX, "corp".into()) && !fits(NAME_PREFIX, "eu".into()));
        assert!(fits("name", "corp-eu".into()) && !fits("name", "corp".into()));
        assert!(fits("enabled", true.into()) && !fits("enabled", false.into()));
        assert!(fits("poll_interval", "1h".into()), "the same duration");
        assert!(fits("log_types", Value::set(["activity"])) && !fits("log_types", Value::set(["other"])));
        assert!(!fits("account_id", "a".into()));
    }
}
