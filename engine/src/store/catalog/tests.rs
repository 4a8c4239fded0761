//! The catalog on a real database.
