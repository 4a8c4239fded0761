//! Case 14.
