//! The binary that Terraform starts.

use std::process::ExitCode;

use terraform_provider_zoom::Zoom;
use tfplug::About;

fn main() -> ExitCode {
    tfplug::run(
        Zoom::new(),
        About {
            address: "registry.terraform.io/zoom-log/zoom",
            version: env!("CARGO_PKG_VERSION"),
        },
    )
}
