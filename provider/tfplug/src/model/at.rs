//! Typed paths: what is not in the schema cannot be named.

use std::marker::PhantomData;

use crate::{path::Path, value::Value};

macro_rules! typed_path {
    ($name:ident, $what:literal) => {
        #[doc = concat!("The path of ", $what, " whose elements have paths `A`.")]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<A>(Path, PhantomData<fn() -> A>);

        impl<A> From<Path> for $name<A> {
            fn from(path: Path) -> Self {
                Self(path, PhantomData)
            }
        }

        impl<A> From<$name<A>> for Path {
            fn from(at: $name<A>) -> Self {
                at.0
            }
        }

        impl<A> std::fmt::Display for $name<A> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

typed_path!(ListAt, "a list");
typed_path!(SetAt, "a set");
typed_path!(MapAt, "a map");

impl<A: From<Path>> ListAt<A> {
    /// Returns the path of an element.
    pub fn index(&self, index: u64) -> A {
        self.0.clone().index(index).into()
    }
}

impl<A: From<Path>> SetAt<A> {
    /// Returns the path of an element, which only its value names.
    pub fn element(&self, value: Value) -> A {
        self.0.clone().element(value).into()
    }
}

impl<A: From<Path>> MapAt<A> {
    /// Returns the path of an element.
    pub fn key(&self, key: &str) -> A {
        self.0.clone().key(key).into()
    }
}
