//! The egress rule: which addresses the engine may connect to.
//!
//! The engine sends requests to URLs that whoever may write a destination or an alarm channel chose. Without a rule
//! that person could make it talk to what only the engine's machine can reach: its own loopback services, the
//! company's network, a cloud's metadata service. So an address is judged after the name was resolved, on the very
//! addresses that are then connected to (a name that resolves differently a moment later gains nothing), and an
//! address written in a URL is judged the same way, in whatever form it is written.
//!
//! The configuration opens more, by network, by host, or all at once. A cloud's metadata service is opened by none of
//! these, but only by its very address: it hands out the machine's credentials.

mod range;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use self::range::{embedded_v4, is_metadata, special_range};

/// Which addresses outside the public internet may be connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// All of them.
    pub private: bool,
    /// Those of these networks: an address, and how many of its bits count.
    pub networks: Vec<(IpAddr, u8)>,
    /// Those that these hosts are at, by their names in lower case; `*.example.com` means every host below.
    pub hosts: Vec<String>,
}

impl Rule {
    /// Judges the host of a URL where it is an address; names are judged when they are resolved.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.check(&address.to_string(), address)
    }

    fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let Some(range) = special_range(address) else {
            return Ok(());
        };
        let metadata = is_metadata(address);
        let allowed = if metadata {
            self.networks
                .iter()
                .any(|(network, bits)| u32::from(*bits) == width(*network) && same(*network, address))
        } else {
            self.private
                || self.networks.iter().any(|network| within(*network, address))
                || self.hosts.iter().any(|pattern| fits(pattern, host))
        };
        if allowed {
            return Ok(());
        }
        Err(Refused {
            host: host.to_owned(),
            address,
            range,
            metadata,
        })
    }

    /// The addresses that may be connected to; an error where none is left.
    fn permitted(
        &self,
        host: &str,
        found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.check(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(refused) => Err(refused.into()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The IPv4 address that is meant, where a form of IPv6 carries one.
fn meant(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6)
            .filter(|_| !v6.is_loopback() && !v6.is_unspecified())
            .map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn same(one: IpAddr, other: IpAddr) -> bool {
    meant(one) == meant(other)
}

/// Whether an address lies in a network, by itself or by the IPv4 address that it carries.
fn within((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    let bits_of = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let inside = |address: IpAddr| {
        let differs = bits_of(network) ^ bits_of(address);
        network.is_ipv4() == address.is_ipv4()
            && differs
                .checked_shr(128 - u32::from(bits))
                .is_none_or(|rest| rest == 0)
    };
    inside(address) || inside(meant(address))
}

/// Whether a pattern of `egress.allow_hosts` means a host.
fn fits(pattern: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match pattern.strip_prefix('*') {
        Some(below) => {
            host.len() > below.len()
                && host.is_char_boundary(host.len() - below.len())
                && host[host.len() - below.len()..].eq_ignore_ascii_case(below)
        }
        None => host.eq_ignore_ascii_case(pattern),
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
    /// Whether only its very address opens it.
    pub metadata: bool,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            address,
            range,
            metadata,
        } = self;
        if *host == address.to_string() {
            write!(f, "`{host}` is {range}")?;
        } else {
            write!(f, "`{host}` resolves to {address}, which is {range}")?;
        }
        if *metadata {
            let bits = width(*address);
            write!(
                f,
                ", and the engine connects there only where `egress.allow_networks` in its configuration names exactly \
                 `{address}/{bits}`"
            )
        } else {
            f.write_str(
                ", and the engine connects to public addresses only: if that is meant, name the network in \
                 `egress.allow_networks` or the host in `egress.allow_hosts` of its configuration, or set \
                 `egress.allow_private_addresses = true`",
            )
        }
    }
}

/// Finds the addresses of a name.
#[async_trait]
pub(super) trait Names: fmt::Debug + Send + Sync {
    /// The addresses that the name has now; the ports do not count.
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug)]
pub(super) struct System;

#[async_trait]
impl Names for System {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Resolves names, and hands out only the addresses that the rule allows: the client connects to these and asks nobody
/// else.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) rule: Arc<Rule>,
    pub(super) names: Arc<dyn Names>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rule, names) = (Arc::clone(&self.rule), Arc::clone(&self.names));
        Box::pin(async move {
            let found = names.look_up(name.as_str()).await?;
            let allowed = rule.permitted(name.as_str(), found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(networks: &[&str], hosts: &[&str]) -> Rule {
        let network = |text: &&str| {
            let (address, bits) = text.split_once('/').unwrap();
            (address.parse().unwrap(), bits.parse().unwrap())
        };
        Rule {
            private: false,
            networks: networks.iter().map(network).collect(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
        }
    }

    fn all() -> Rule {
        Rule {
            private: true,
            ..Rule::default()
        }
    }

    fn allows(rule: &Rule, host: &str, address: &str) -> bool {
        rule.check(host, address.parse().unwrap()).is_ok()
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
            assert!(Rule::default().check_literal(&url).is_err(), "{url}");
            assert!(all().check_literal(&url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_network_opens_its_addresses_in_every_form_and_no_other() {
        let rule = rule(&["10.1.0.0/16", "fd00:1::/32", "127.0.0.1/32"], &[]);
        for address in [
            "10.1.255.255",
            "::ffff:10.1.2.3",
            "64:ff9b::a01:203",
            "2002:a01:203::",
            "fd00:1::1",
            "127.0.0.1",
        ] {
            assert!(allows(&rule, "h", address), "{address}");
        }
        for address in [
            "10.2.0.0",
            "127.0.0.2",
            "fd00:2::1",
            "::1",
            "::ffff:10.2.0.0",
            "169.254.169.254",
        ] {
            assert!(!allows(&rule, "h", address), "{address}");
        }
    }

    #[test]
    fn a_host_opens_what_it_is_at() {
        let rule = rule(&[], &["siem.corp.example", "*.lake.example"]);
        for host in [
            "siem.corp.example",
            "SIEM.corp.example.",
            "a.lake.example",
            "a.b.lake.example",
        ] {
            assert!(allows(&rule, host, "10.0.0.1"), "{host}");
            assert!(!allows(&rule, host, "169.254.169.254"), "{host}");
        }
        for host in [
            "corp.example",
            "lake.example",
            ".lake.example.evil.example",
            "xlake.example",
            "a.lake.example.evil",
        ] {
            assert!(!allows(&rule, host, "10.0.0.1"), "{host}");
            assert!(allows(&rule, host, "8.8.8.8"), "{host}");
        }
    }

    #[test]
    fn metadata_is_opened_by_its_very_address_alone() {
        for open in [
            all(),
            rule(
                &["169.254.0.0/16", "0.0.0.0/0", "::/0"],
                &["*.example", "metadata.example"],
            ),
        ] {
            for address in [
                "169.254.169.254",
                "::ffff:169.254.169.254",
                "168.63.129.16",
                "fd00:ec2::254",
            ] {
                assert!(!allows(&open, "metadata.example", address), "{address}");
            }
        }
        let exact = rule(&["169.254.169.254/32", "fd00:ec2::254/128"], &[]);
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(allows(&exact, "h", address), "{address}");
        }
        assert!(!allows(&exact, "h", "169.254.170.2"));
        let refused = all().check("h", "169.254.169.254".parse().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("`169.254.169.254/32`"), "{refused}");
    }

    #[test]
    fn of_a_mixed_answer_only_the_public_addresses_are_used() {
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();
        let public: SocketAddr = "8.8.8.8:0".parse().unwrap();
        let closed = Rule::default();
        assert_eq!(
            closed.permitted("mixed.example", vec![private, public]).unwrap(),
            [public]
        );
        let error = closed.permitted("inside.example", vec![private]).unwrap_err();
        assert_eq!(
            error.downcast_ref::<Refused>().map(|refused| refused.address),
            Some(private.ip())
        );
        assert!(
            error
                .to_string()
                .contains("`inside.example` resolves to 10.0.0.1, which is a private address")
        );
        assert!(all().permitted("inside.example", vec![private]).is_ok());
        assert!(all().permitted("nowhere.example", vec![]).is_err());
    }

    proptest! {
        #[test]
        fn a_network_holds_what_shares_its_first_bits(network: u32, address: u32, bits in 0_u8..=32) {
            let inside = bits == 0 || (network ^ address) >> (32 - bits) == 0;
            let v4 = |bits: u32| IpAddr::V4(bits.into());
            prop_assert_eq!(within((v4(network), bits), v4(address)), inside);
        }
    }
}
