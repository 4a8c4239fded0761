//! What a panic prints.
//!
//! The host shows a plugin's last words only if they begin as a Go panic does. A panic that the server catches is not
//! the end, so it is only noted.

use std::{
    backtrace::Backtrace,
    io::{self, Write},
    panic,
};

use crate::server;

/// Puts the hook in place.
pub(super) fn install() {
    panic::set_hook(Box::new(|info| {
        if server::panic_is_expected() {
            server::note_panic(info);
        } else {
            let words = format!(
                "panic: {}\n\n{}\n",
                server::describe_panic(info),
                Backtrace::force_capture()
            );
            let _ = io::stderr().lock().write_all(words.as_bytes());
        }
    }));
}
