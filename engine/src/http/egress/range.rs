//! What an address is: of the public internet, special, or a cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, where it is not an ordinary one of the public internet.
pub(super) fn special_range(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_range_v4(address),
        IpAddr::V6(address) => special_range_v6(address),
    }
}

const METADATA: &str = "a cloud metadata address";

/// Where clouds tell a machine its credentials: AWS, Google, Azure, Oracle and others; tasks and pods of AWS; Azure's
/// host, which is a public address; Alibaba, Oracle's older one, Scaleway.
const METADATA_V4: [[u8; 4]; 7] = [
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [169, 254, 170, 23],
    [168, 63, 129, 16],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [169, 254, 42, 42],
];

/// The same over IPv6: AWS, its pods, Google, Oracle, Scaleway.
const METADATA_V6: [[u16; 8]; 5] = [
    [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
    [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
    [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
    [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
    [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42],
];

/// The registry of special-purpose IPv4 addresses.
const SPECIAL_V4: [([u8; 4], u32, &str); 15] = [
    ([0, 0, 0, 0], 8, "an unspecified address"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a carrier's shared address"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "a documentation address"),
    ([192, 88, 99, 0], 24, "a reserved address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "a benchmarking address"),
    ([198, 51, 100, 0], 24, "a documentation address"),
    ([203, 0, 113, 0], 24, "a documentation address"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

fn special_range_v4(address: Ipv4Addr) -> Option<&'static str> {
    if is_metadata(IpAddr::V4(address)) {
        return Some(METADATA);
    }
    let bits = address.to_bits();
    let within = |base: [u8; 4], length: u32| {
        (bits ^ u32::from_be_bytes(base))
            .checked_shr(32 - length)
            .is_some_and(|rest| rest == 0)
    };
    SPECIAL_V4
        .iter()
        .find(|(base, length, _)| within(*base, *length))
        .map(|(.., range)| *range)
}

fn special_range_v6(address: Ipv6Addr) -> Option<&'static str> {
    if is_metadata(IpAddr::V6(address)) {
        return Some(METADATA);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // Forms that carry an IPv4 address reach what that address reaches.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2002, ..] => {
            embedded_v4(address).and_then(special_range_v4)
        }
        [0, 0, 0, 0, ..] | [0x2001, 0..=0x1ff, ..] | [0x5f00, ..] => Some("a reserved address"),
        [0x64, 0xff9b, 1, ..] => Some("a private translation address"),
        [0x100, 0, 0, 0, ..] => Some("a discard address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a documentation address"),
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        _ => None,
    }
}

/// The IPv4 address that a form of IPv6 carries: mapped, compatible, translated (NAT64, public and private; SIIT), 6to4.
pub(super) fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let ([0, 0, 0, 0, 0 | 0xffff, 0, high, low]
    | [0, 0, 0, 0, 0, 0xffff, high, low]
    | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
    | [0x64, 0xff9b, 1, _, _, _, high, low]
    | [0x2002, high, low, ..]) = address.segments()
    else {
        return None;
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// Whether an address is one at which clouds tell a machine its credentials, in whatever form it is written.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address.octets()),
        IpAddr::V6(address) => {
            METADATA_V6.contains(&address.segments())
                || embedded_v4(address).is_some_and(|address| is_metadata(IpAddr::V4(address)))
        }
    }
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range_of(text: &str) -> Option<&'static str> {
        special_range(text.parse().unwrap())
    }

    #[test]
    fn special_addresses_are_known() {
        for (address, range) in [
            ("0.0.0.0", "an unspecified address"),
            ("10.255.255.255", "a private address"),
            ("100.100.100.200", METADATA),
            ("100.100.100.201", "a carrier's shared address"),
            ("127.8.0.1", "a loopback address"),
            ("168.63.129.16", METADATA),
            ("169.254.169.254", METADATA),
            ("169.254.170.2", METADATA),
            ("169.254.1.1", "a link-local address"),
            ("172.31.0.1", "a private address"),
            ("192.168.1.1", "a private address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "an unspecified address"),
            ("::1", "a loopback address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("::127.0.0.1", "a reserved address"),
            ("64:ff9b::a00:1", "a private address"),
            ("2002:7f00:1::", "a loopback address"),
            ("2001:0:7f00:1::", "a reserved address"),
            ("fd00:ec2::254", METADATA),
            ("fd00:ec2::253", "a unique local address"),
            ("::ffff:169.254.169.254", METADATA),
            ("::169.254.169.254", METADATA),
            ("::ffff:0:169.254.169.254", METADATA),
            ("64:ff9b::a9fe:a9fe", METADATA),
            ("64:ff9b:1::a9fe:a9fe", METADATA),
            ("2002:a9fe:a9fe::1", METADATA),
            ("64:ff9b:1::a00:1", "a private translation address"),
            ("fe80::1", "a link-local address"),
            ("ff02::1", "a multicast address"),
        ] {
            assert_eq!(range_of(address), Some(range), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_free() {
        for address in [
            "8.8.8.8",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "64:ff9b::808:808",
        ] {
            assert_eq!(range_of(address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_std_calls_special_is_let_through(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || special_range_v4(address).is_some());
            prop_assert_eq!(special_range_v6(address.to_ipv6_mapped()), special_range_v4(address));
        }
    }
}
