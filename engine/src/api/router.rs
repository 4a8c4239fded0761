//! The router over the table of routes, with what every request passes through.

use axum::{Router, http::StatusCode, middleware};

use super::{Api, guard, table::table};

/// The router over the table.
pub fn router(api: &Api) -> Router {
    let mut router = Router::new();
    for route in table() {
        let enter = middleware::from_fn_with_state((api.clone(), route), guard::enter);
        router = router.route(&route.path, (route.handler)().route_layer(enter));
    }
    router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware::from_fn_with_state(api.clone(), guard::finish))
        .with_state(api.clone())
}
