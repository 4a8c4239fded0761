//! What stands in a type, for the rules that are checked while compiling.

/// What stands in a type, for the rules that are checked while compiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// A write-only value.
    pub write_only: bool,
    /// A default.
    pub default: bool,
    /// A value that is computed where it is not configured.
    pub optional_computed: bool,
    /// A value that is compared by meaning.
    pub same: bool,
    /// A value of any type.
    pub dynamic: bool,
    /// Nested objects that repeat.
    pub repeated: bool,
    /// It is an object of nested attributes.
    pub object: bool,
}

impl Traits {
    /// Nothing of it.
    pub const NONE: Self = Self {
        write_only: false,
        default: false,
        optional_computed: false,
        same: false,
        dynamic: false,
        repeated: false,
        object: false,
    };

    /// Returns these and those of a part of it.
    #[must_use]
    pub const fn with(self, part: Self) -> Self {
        Self {
            write_only: self.write_only || part.write_only,
            default: self.default || part.default,
            optional_computed: self.optional_computed || part.optional_computed,
            same: self.same || part.same,
            dynamic: self.dynamic || part.dynamic,
            repeated: self.repeated,
            object: self.object,
        }
    }

    /// Returns those of a list or map of it.
    ///
    /// # Panics
    ///
    /// While compiling, where such lists are not possible.
    #[must_use]
    pub const fn elements(self) -> Self {
        assert!(
            !self.repeated,
            "a list, set or map of nested objects cannot repeat itself: put an object between the two"
        );
        Self {
            repeated: self.object,
            object: false,
            ..self
        }
    }

    /// Returns those of a set of it.
    ///
    /// # Panics
    ///
    /// While compiling, where such sets are not possible.
    #[must_use]
    pub const fn set_elements(self) -> Self {
        assert!(
            !self.default,
            "a default in an element of a set changes which element it is: use a list or a map"
        );
        assert!(
            !self.write_only,
            "an element of a set has no secrets: use a list or a map"
        );
        assert!(
            !self.optional_computed,
            "in a set, what is computed where it is not configured makes an element look like another: use a list or a map"
        );
        assert!(
            !self.same,
            "spellings that mean the same cannot be told apart in a set: use a list or a map"
        );
        assert!(
            !self.dynamic,
            "an element of a set has no dynamic values: use a list or a map"
        );
        self.elements()
    }
}
