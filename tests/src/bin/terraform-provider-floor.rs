//! The provider that does nothing, as Terraform starts it, for `make bench`.

use std::process::ExitCode;

use e2e::bench::floor::{ADDRESS, Floor};
use tfplug::About;

fn main() -> ExitCode {
    tfplug::run(
        Floor,
        About {
            address: ADDRESS,
            version: env!("CARGO_PKG_VERSION"),
        },
    )
}
