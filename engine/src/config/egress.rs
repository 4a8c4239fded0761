//! Where requests of the engine's own may go.

use std::net::IpAddr;

use super::{Egress, reader::Reader};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Egress> {
    let allow_private_addresses = reader.boolean("egress.allow_private_addresses");
    let allow_networks = networks(reader);
    let allow_hosts: Vec<String> = reader
        .list("egress.allow_hosts")
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect();
    if let Some(host) = allow_hosts.iter().find(|host| !is_host(host)) {
        reader.problem::<()>(
            "egress.allow_hosts",
            format!("`{host}` is no host: write a name such as `siem.corp.example`, or `*.corp.example` for all below it; an address belongs in `egress.allow_networks`"),
        );
    }
    let file_roots = reader.list("egress.file_roots");
    if file_roots.is_empty() || file_roots.iter().any(String::is_empty) {
        reader.problem::<()>(
            "egress.file_roots",
            "must name at least one directory, and no empty one",
        );
    }
    let file_roots = file_roots.iter().map(|root| reader.data_dir.join(root)).collect();
    let authorities = match reader.text("egress.ca_file") {
        text if text.is_empty() => Some(Vec::new()),
        _ => reader
            .path("egress.ca_file")
            .and_then(|path| reader.authorities("egress.ca_file", &path)),
    };
    Some(Egress {
        allow_private_addresses,
        allow_networks: allow_networks?,
        allow_hosts,
        file_roots,
        authorities: authorities?,
    })
}

fn networks(reader: &mut Reader<'_>) -> Option<Vec<(IpAddr, u8)>> {
    let mut networks = Vec::new();
    for text in reader.list("egress.allow_networks") {
        let network = text.split_once('/').and_then(|(address, bits)| {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
            Some((address, bits))
        });
        networks.push(network.or_else(|| {
            reader.problem(
                "egress.allow_networks",
                format!("`{text}` is no network: write an address and how many of its bits count, such as `10.1.0.0/16` or `192.168.7.8/32`"),
            )
        })?);
    }
    Some(networks)
}

/// Whether a text is a host's name, or a star and the end of one.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let fits = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.split('.').all(fits) && name.parse::<IpAddr>().is_err()
}
