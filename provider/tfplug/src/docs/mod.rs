//! Registry pages, rendered from the schema.
//!
//! The layout is the one that registries read: `index.md`, `resources/<name>.md` and so on, with front matter, where
//! `<name>` is the type without the provider's prefix. Examples come from a directory in registry layout:
//! `provider/provider.tf`, `resources/<type>/resource.tf`, `resources/<type>/import.sh`,
//! `resources/<type>/import-by-string-id.tf`, `resources/<type>/import-by-identity.tf`,
//! `data-sources/<type>/data-source.tf`,
//! `ephemeral-resources/<type>/ephemeral-resource.tf`, `list-resources/<type>/list-resource.tfquery.hcl`,
//! `actions/<type>/action.tf`, `functions/<name>/function.tf`. What has no example has no such section.

mod function;
mod page;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{offers::Offers, provider::Provider, schema::Schema};

/// The directories in which every page is generated.
const GENERATED: [&str; 6] = [
    "resources",
    "data-sources",
    "ephemeral-resources",
    "list-resources",
    "actions",
    "functions",
];

/// The pages of a provider, by their path below the documentation's directory.
pub type Pages = BTreeMap<PathBuf, String>;

/// Renders all pages. `name` is the prefix of the provider's types, such as `cloud`.
///
/// # Errors
///
/// Where an example exists and cannot be read.
pub fn pages<P: Provider>(provider: &P, name: &str, examples: &Path) -> io::Result<Pages> {
    let mut pages = Pages::new();
    let mut offers = Offers::new();
    provider.offer(&mut offers);
    pages.insert(
        PathBuf::from("index.md"),
        page::render(&page::Page {
            title: format!("{name} Provider"),
            heading: format!("{name} Provider"),
            schema: &provider.schema(),
            example: read(&examples.join("provider/provider.tf"))?,
            imports: page::Imports::default(),
        }),
    );
    for (type_name, parts) in &offers.resources {
        let directory = examples.join("resources").join(type_name);
        let page = page::render(&page::Page {
            title: format!("{type_name} Resource - {name}"),
            heading: format!("{type_name} (Resource)"),
            schema: &parts.core.schema(),
            example: read(&directory.join("resource.tf"))?,
            imports: page::Imports {
                block: read(&directory.join("import-by-string-id.tf"))?,
                identity_block: read(&directory.join("import-by-identity.tf"))?,
                identity: parts.identity.as_ref().map(|identity| identity.schema()),
                command: read(&directory.join("import.sh"))?,
            },
        });
        pages.insert(path_of("resources", name, type_name), page);
    }
    for (type_name, parts) in &offers.data_sources {
        let directory = examples.join("data-sources").join(type_name);
        let page = page::render(&page::Page {
            title: format!("{type_name} Data Source - {name}"),
            heading: format!("{type_name} (Data Source)"),
            schema: &parts.core.schema(),
            example: read(&directory.join("data-source.tf"))?,
            imports: page::Imports::default(),
        });
        pages.insert(path_of("data-sources", name, type_name), page);
    }
    for (type_name, parts) in &offers.ephemerals {
        let example = read(
            &examples
                .join("ephemeral-resources")
                .join(type_name)
                .join("ephemeral-resource.tf"),
        )?;
        let schema = parts.core.schema();
        let page = plain_page(type_name, "Ephemeral Resource", name, &schema, example);
        pages.insert(path_of("ephemeral-resources", name, type_name), page);
    }
    for (type_name, parts) in &offers.resources {
        let Some(list) = &parts.list else { continue };
        let example = read(
            &examples
                .join("list-resources")
                .join(type_name)
                .join("list-resource.tfquery.hcl"),
        )?;
        let schema = list.list.schema();
        let page = plain_page(type_name, "List Resource", name, &schema, example);
        pages.insert(path_of("list-resources", name, type_name), page);
    }
    for (type_name, parts) in &offers.actions {
        let example = read(&examples.join("actions").join(type_name).join("action.tf"))?;
        let page = plain_page(type_name, "Action", name, &parts.core.schema(), example);
        pages.insert(path_of("actions", name, type_name), page);
    }
    for (function, parts) in &offers.functions {
        let example = read(&examples.join("functions").join(function).join("function.tf"))?;
        let page = function::render(function, name, &parts.core.signature(), example.as_deref());
        pages.insert(Path::new("functions").join(format!("{function}.md")), page);
    }
    Ok(pages)
}

/// Renders the page of something that has no import.
fn plain_page(
    type_name: &str,
    what: &str,
    provider: &str,
    schema: &Schema,
    example: Option<String>,
) -> String {
    page::render(&page::Page {
        title: format!("{type_name} {what} - {provider}"),
        heading: format!("{type_name} ({what})"),
        schema,
        example,
        imports: page::Imports::default(),
    })
}

/// Writes pages below `out`. Other files there are left alone.
///
/// # Errors
///
/// Where a file cannot be written.
pub fn write(pages: &Pages, out: &Path) -> io::Result<()> {
    for (path, text) in pages {
        let path = out.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Returns what differs below `out` from the pages, as sentences: pages that are missing or out of date, and pages in
/// the generated directories that belong to nothing.
///
/// # Errors
///
/// Where a file or directory exists and cannot be read.
pub fn differences(pages: &Pages, out: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for (path, text) in pages {
        match read(&out.join(path))? {
            None => found.push(format!("`{}` is missing.", path.display())),
            Some(current) if current != *text => found.push(format!("`{}` is out of date.", path.display())),
            Some(_) => {}
        }
    }
    for directory in GENERATED {
        let entries = match fs::read_dir(out.join(directory)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = Path::new(directory).join(entry?.file_name());
            if !pages.contains_key(&path) {
                found.push(format!("`{}` belongs to nothing in the schema.", path.display()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn path_of(directory: &str, provider: &str, type_name: &str) -> PathBuf {
    let prefix = format!("{provider}_");
    let short = type_name.strip_prefix(&prefix).unwrap_or(type_name);
    Path::new(directory).join(format!("{short}.md"))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
