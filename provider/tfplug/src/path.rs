//! Paths of attributes: where in a configuration or a state something stands.

use std::fmt;

use crate::value::Value;

/// One step from a value to a value in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To an attribute of an object.
    Attribute(String),
    /// To an element of a map.
    Key(String),
    /// To an element of a list or tuple.
    Index(u64),
    /// To an element of a set, which only its value names. The wire cannot say this step.
    Element(Box<Value>),
}

/// A path from the root of a configuration or state to a value in it.
///
/// ```
/// # use tfplug::path::Path;
/// let path = Path::root().attribute("http").attribute("headers").key("x-team");
/// assert_eq!(path.to_string(), r#"http.headers["x-team"]"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<Step>);

impl Path {
    /// Returns the path of the whole value.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the path of a top-level attribute.
    pub fn of(name: impl Into<String>) -> Self {
        Self::root().attribute(name)
    }

    /// Returns the path of an attribute of the object here.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>) -> Self {
        self.0.push(Step::Attribute(name.into()));
        self
    }

    /// Returns the path of an element of the map here.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// Returns the path of an element of the list here.
    #[must_use]
    pub fn index(mut self, index: u64) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// Returns the path of an element of the set here.
    #[must_use]
    pub fn element(mut self, value: Value) -> Self {
        self.0.push(Step::Element(Box::new(value)));
        self
    }

    /// Returns the steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Adds a step in place; for walks.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Takes the last step away in place; for walks.
    pub fn pop(&mut self) -> Option<Step> {
        self.0.pop()
    }

    /// Adds the step in place, if there is one.
    pub(crate) fn extend(&mut self, step: Option<&Step>) {
        self.0.extend(step.cloned());
    }

    /// Takes back what [`Path::extend`] added.
    pub(crate) fn retract(&mut self, step: Option<&Step>) {
        if step.is_some() {
            self.pop();
        }
    }

    /// Returns the longest beginning that the wire can say: everything before the first element of a set.
    #[must_use]
    pub fn sayable(&self) -> Self {
        Self(
            self.0
                .iter()
                .take_while(|step| !matches!(step, Step::Element(_)))
                .cloned()
                .collect(),
        )
    }
}

impl From<&str> for Path {
    fn from(name: &str) -> Self {
        Self::of(name)
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

/// Terraform's notation. The element of a set is shown as `[*]`, since its value may be a secret.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Element(_) => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}
