//! The API, through the router.
