//! Waiting for something to become true: look often, give up late, and say what was seen last.

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;

/// How long a wait lasts before it gives up, where a test has no reason for another.
pub const LATE: Duration = Duration::from_mins(1);

const OFTEN: Duration = Duration::from_millis(25);

/// Polls `look` until it answers `Ok`, and returns that.
///
/// # Panics
///
/// After `late`, with the last `Err`: it should say what there was instead of what was waited for.
pub async fn until<T, E: Display>(
    late: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + late;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(status) if Instant::now() >= deadline => {
                panic!("gave up waiting for {what} after {late:?}; last seen: {status}")
            }
            Err(_) => tokio::time::sleep(OFTEN).await,
        }
    }
}

/// Like [`until`], for a look that needs no await.
///
/// # Panics
///
/// As [`until`] does.
pub async fn until_now<T, E: Display>(
    late: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    until(late, what, async || look()).await
}
