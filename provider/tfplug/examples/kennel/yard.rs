//! What stands for a remote API: a directory in which dogs are files.

use std::{fs, path::PathBuf};

use tfplug::{
    model::{Codec, Model},
    value,
};

use crate::dog::Dog;

/// The directory, where it is known.
pub(crate) struct Yard(Option<PathBuf>);

impl Yard {
    pub(crate) fn new(directory: Option<&str>) -> Self {
        Self(directory.map(PathBuf::from))
    }

    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().map(|directory| directory.join(name))
    }

    fn dog(&self, id: &str) -> Option<PathBuf> {
        self.file(&format!("{id}.json"))
    }

    pub(crate) fn load(&self, id: &str) -> Option<Dog> {
        let text = fs::read(self.dog(id)?).ok()?;
        let value = value::Value::from_stored_json(&text, &Dog::schema().ty()).ok()?;
        Dog::read(&value).ok()
    }

    pub(crate) fn store(&self, id: &str, dog: &Dog) -> Option<()> {
        let text = dog.write().to_json(&Dog::schema().ty()).ok()?;
        fs::write(self.dog(id)?, text).ok()
    }

    /// Removes a dog. One that is gone already is removed.
    pub(crate) fn remove(&self, id: &str) {
        if let Some(file) = self.dog(id) {
            let _ = fs::remove_file(file);
        }
    }

    /// Returns the ids of all dogs, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let entries = self.0.as_ref().and_then(|directory| fs::read_dir(directory).ok());
        let names = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .collect();
        ids.sort();
        ids
    }
}
