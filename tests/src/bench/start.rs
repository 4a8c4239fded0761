//! How long the provider takes from its start to the line that Terraform waits for, and what it then holds.

use std::{process::Command, time::Duration};

use tempfile::TempDir;

use super::{Series, Table, machine::memory, timed};
use crate::binaries::Binary;

/// How long one start may take.
const LATE: Duration = Duration::from_secs(30);

/// Starts whose times are not counted: the first finds the binary on disk rather than in memory.
const WARM_UP: u32 = 3;

/// Starts the provider as Terraform does, in turns with `echo`, the least that any process takes to write a line.
///
/// # Panics
///
/// When the provider answers with anything but a handshake.
pub async fn measure(starts: u32) -> Table {
    let (mut provider, mut echo) = (Series::default(), Series::default());
    let (mut resident, mut peak) = (Series::default(), Series::default());
    let folder = tempfile::Builder::new()
        .prefix("ztp-")
        .tempdir()
        .expect("a temporary directory");
    let certificate = certificate();
    for start in 0..WARM_UP + starts {
        let command = plugin(&folder, &certificate);
        let (took, line, group) = timed::first_line("the provider", command, LATE).await;
        let fields: Vec<&str> = line.split('|').collect();
        assert!(
            fields.len() >= 6 && fields[..2] == ["1", "6"] && fields[4] == "grpc" && !fields[5].is_empty(),
            "not a handshake with a certificate: {line}"
        );
        let memory = ["VmRSS", "VmHWM"].map(|name| memory(group.pid(), name));
        drop(group);
        let mut command = Command::new("echo");
        command.arg("line");
        let (floor, _, _) = timed::first_line("echo", command, LATE).await;
        if start >= WARM_UP {
            provider.push_millis(took);
            echo.push_millis(floor);
            resident.push(memory[0]);
            peak.push(memory[1]);
        }
    }
    let mut table = Table::new(format!(
        "b. The provider's start to its handshake line, {starts} starts"
    ));
    table.line("provider", &provider, "ms");
    table.line("provider, 9 of 10 starts within", &p90(&provider), "ms");
    table.line("echo, the least a process takes", &echo, "ms");
    table.line("provider / echo", &provider.over(&echo), "times");
    table.line("memory after the handshake (VmRSS)", &resident, "MiB");
    table.line("peak memory until then (VmHWM)", &peak, "MiB");
    table
}

fn p90(series: &Series) -> Series {
    std::iter::once(series.p90()).collect()
}

/// Returns the command that Terraform would run.
fn plugin(folder: &TempDir, certificate: &str) -> Command {
    let mut command = Command::new(Binary::Provider.path());
    command
        .env_clear()
        .env(
            "TF_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
        )
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("PLUGIN_CLIENT_CERT", certificate)
        // It is killed, and so leaves its socket behind.
        .env("PLUGIN_UNIX_SOCKET_DIR", folder.path());
    command
}

/// Makes a host's certificate. Terraform's is on P-521, of which the provider verifies a signature when the host
/// connects, after the line that is timed; until then any curve is the same work.
fn certificate() -> String {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    signed.expect("make a certificate").cert.pem()
}
