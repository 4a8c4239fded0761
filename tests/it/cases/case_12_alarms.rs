//! Case 12: a quiet tenant, a dead collector and a dead destination give different alarms.
//!
//! Every public collector treats them alike: no events arrive, and nobody knows why.
