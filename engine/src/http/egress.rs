//! The egress rule: which addresses the engine may connect to.
//!
//! The engine sends requests to URLs that whoever may write a destination or an alarm channel chose. Without a rule
//! that person could make it talk to what only the engine's machine can reach: its own loopback services, the
//! company's network, a cloud's metadata service. So an address is judged after the name was resolved, on the very
//! addresses that are then connected to (a name that resolves differently a moment later gains nothing), and an
//! address written in a URL is judged the same way.
//!
//! `egress.allow_private_addresses = true` switches the rule off.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Only addresses of the public internet.
    PublicOnly,
    /// All.
    Any,
}

impl Rule {
    /// Judges the host of a URL where it is an address; names are judged when they are resolved.
    pub(super) fn check_literal(self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.check(address).map_err(|range| Refused {
            host: address.to_string(),
            address,
            range,
        })
    }

    fn check(self, address: IpAddr) -> Result<(), &'static str> {
        match self {
            Self::Any => Ok(()),
            Self::PublicOnly => special_range(address).map_or(Ok(()), Err),
        }
    }
}

/// An address that the rule forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The host as the URL names it.
    pub host: String,
    /// The address it stands for.
    pub address: IpAddr,
    /// What that address is.
    pub range: &'static str,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address, range } = self;
        if *host == address.to_string() {
            write!(f, "`{host}` is {range}")?;
        } else {
            write!(f, "`{host}` resolves to {address}, which is {range}")?;
        }
        f.write_str(", and the engine connects to public addresses only: set `egress.allow_private_addresses = true` in its configuration if that is meant")
    }
}

/// Resolves names with the system's resolver and hands out only the addresses that the rule allows.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) rule: Rule,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.rule;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = permitted(rule, name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses that may be connected to; an error where none is left.
fn permitted(
    rule: Rule,
    host: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match rule.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(range) => {
                refused = Some(Refused {
                    host: host.to_owned(),
                    address: address.ip(),
                    range,
                });
            }
        }
    }
    match refused {
        _ if !allowed.is_empty() => Ok(allowed),
        Some(refused) => Err(refused.into()),
        None => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
    }
}

/// What an address is, where it is not an ordinary one of the public internet.
fn special_range(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_range_v4(address),
        IpAddr::V6(address) => special_range_v6(address),
    }
}

/// The registry of special-purpose IPv4 addresses, and the one public address that is a cloud's metadata service.
const SPECIAL_V4: [([u8; 4], u32, &str); 17] = [
    ([0, 0, 0, 0], 8, "an unspecified address"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a carrier's shared address"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([168, 63, 129, 16], 32, "a cloud metadata address"),
    ([169, 254, 169, 254], 32, "a cloud metadata address"),
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
    let segments = address.segments();
    let embedded_v4 =
        |high: u16, low: u16| special_range_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // Forms that carry an IPv4 address reach what that address reaches.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded_v4(high, low),
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
            ("100.100.100.200", "a carrier's shared address"),
            ("127.8.0.1", "a loopback address"),
            ("168.63.129.16", "a cloud metadata address"),
            ("169.254.169.254", "a cloud metadata address"),
            ("169.254.170.2", "a link-local address"),
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
            ("fd00:ec2::254", "a unique local address"),
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

    #[test]
    fn odd_spellings_of_an_address_are_judged_by_what_they_mean() {
        for url in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::ffff:7f00:1]/",
            "http://0/",
        ] {
            let url: Url = url.parse().unwrap();
            assert!(Rule::PublicOnly.check_literal(&url).is_err(), "{url}");
            assert!(Rule::Any.check_literal(&url).is_ok(), "{url}");
        }
    }

    #[test]
    fn of_a_mixed_answer_only_the_public_addresses_are_used() {
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();
        let public: SocketAddr = "8.8.8.8:0".parse().unwrap();
        assert_eq!(
            permitted(Rule::PublicOnly, "mixed.example", vec![private, public]).unwrap(),
            [public]
        );
        let error = permitted(Rule::PublicOnly, "inside.example", vec![private]).unwrap_err();
        assert_eq!(
            error.downcast_ref::<Refused>().map(|refused| refused.address),
            Some(private.ip())
        );
        assert!(
            error
                .to_string()
                .contains("`inside.example` resolves to 10.0.0.1, which is a private address")
        );
        assert!(permitted(Rule::Any, "inside.example", vec![private]).is_ok());
        assert!(permitted(Rule::Any, "nowhere.example", vec![]).is_err());
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
