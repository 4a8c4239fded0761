//! Files that only one destination may write.

use super::*;

#[tokio::test]
async fn of_two_destinations_that_take_one_file_at_the_same_moment_one_is_refused() {
    let stage = Stage::set().await;
    for round in 0..5 {
        let path = format!("shared-{round}");
        let spec = |name: &str| json!({ "name": format!("{name}-{round}"), "file": { "path": path } });
        let (one, other) = (spec("one"), spec("other"));
        let (one, other) = tokio::join!(
            stage.post("/v1/destinations", &one),
            stage.post("/v1/destinations", &other)
        );
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422]);
    }
}
