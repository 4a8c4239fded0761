//! Several engines on one PostgreSQL.

use std::time::Duration;

use e2e::fleet::{self, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_engines_on_one_database_lose_and_double_nothing_while_all_fails() {
    let survived = fleet::run(Options {
        engines: 3,
        sources: 4,
        rows: 60,
        trouble: Duration::from_secs(20),
        lease: Duration::from_secs(5),
        seed: 1,
    })
    .await;
    assert_eq!(survived.faults.len(), 7, "{survived}");
}
