//! Panics of the author's code, caught where they happen.
//!
//! The panic hook writes `panic: …` for the host to show when the process is about to die. A panic that is caught here
//! does not end the process, so the hook only notes it, and the note becomes a diagnostic.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    static EXPECTING: Cell<bool> = const { Cell::new(false) };
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Returns whether a panic on this thread would be caught and reported.
pub(crate) fn expecting() -> bool {
    EXPECTING.with(Cell::get)
}

/// Notes the panic that the hook was called for.
pub(crate) fn take_note(info: &PanicHookInfo<'_>) {
    let note = describe(info);
    NOTE.with(|slot| *slot.borrow_mut() = Some(note));
}

/// Returns the text and the place of a panic.
pub(crate) fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map(|location| format!(" at {}:{}", location.file(), location.line()));
    format!("{}{}", message(info.payload()), place.unwrap_or_default())
}

fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text")
}

/// Runs a future to its end, or to its panic, which is then the error.
pub(crate) async fn run<F: Future>(future: F) -> Result<F::Output, String> {
    Caught(Box::pin(future)).await
}

struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let before = EXPECTING.with(|expecting| expecting.replace(true));
        // The future is never polled again after a panic, and what it borrowed are responses that are meant to be
        // looked at in whatever form they were left.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)));
        EXPECTING.with(|expecting| expecting.set(before));
        match outcome {
            Ok(poll) => poll.map(Ok),
            Err(payload) => {
                let note = NOTE.with(|slot| slot.borrow_mut().take());
                Poll::Ready(Err(note.unwrap_or_else(|| message(payload.as_ref()).to_owned())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_error_and_what_was_done_before_it_stays() {
        let mut done = Vec::new();
        let outcome = run(async {
            done.push(1);
            tokio::task::yield_now().await;
            done.push(2);
            assert!(done.is_empty(), "broken on purpose");
        })
        .await;
        assert!(outcome.is_err_and(|note| note.contains("broken on purpose")));
        assert_eq!(done, [1, 2]);
        assert!(!expecting());
    }
}
