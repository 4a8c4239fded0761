//! How many wrong tokens an address may send: so many at once, and one more every few seconds.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many wrong tokens are looked at at once.
const BURST: u32 = 20;
/// How long it takes until one more is.
const ONE_MORE: Duration = Duration::from_secs(3);
/// How many addresses are remembered.
const ADDRESSES: usize = 4_096;

/// Counts wrong tokens by the address that they came from, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Until when, by the monotonic clock, an address works off what it sent.
    debts: Mutex<HashMap<IpAddr, Duration>>,
}

impl Throttle {
    /// How long an address has to wait before another token of it is looked at; `None` where it need not.
    pub(super) fn wait(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let debt = debts.get(&network(address))?.saturating_sub(now);
        let wait = (debt + ONE_MORE).saturating_sub(ONE_MORE * BURST);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes that an address sent a wrong token.
    pub(super) fn failed(&self, address: IpAddr, now: Duration) {
        let address = network(address);
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= ADDRESSES && !debts.contains_key(&address) {
            debts.retain(|_, until| *until > now);
            // Whoever owes least is forgiven, so that a crowd of addresses does not free the worst of them.
            let least = debts.iter().min_by_key(|(_, until)| **until);
            if let Some(least) = least
                .map(|(address, _)| *address)
                .filter(|_| debts.len() >= ADDRESSES)
            {
                debts.remove(&least);
            }
        }
        let until = debts.entry(address).or_default();
        *until = (*until).max(now) + ONE_MORE;
    }
}

/// What one caller can take addresses from at will counts as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let throttle = Throttle::default();
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..BURST {
            assert_eq!(throttle.wait(bad, Duration::ZERO), None);
            throttle.failed(bad, Duration::ZERO);
        }
        assert_eq!(throttle.wait(bad, Duration::ZERO), Some(ONE_MORE));
        assert_eq!(
            throttle.wait(address("::ffff:192.0.2.1"), Duration::ZERO),
            Some(ONE_MORE)
        );
        assert_eq!(throttle.wait(good, Duration::ZERO), None);
        assert_eq!(throttle.wait(bad, ONE_MORE), None);
        throttle.failed(bad, ONE_MORE);
        assert_eq!(throttle.wait(bad, ONE_MORE), Some(ONE_MORE));
        assert_eq!(throttle.wait(bad, ONE_MORE * (BURST + 1)), None);
    }

    #[test]
    fn a_network_of_one_caller_counts_as_one() {
        let throttle = Throttle::default();
        for host in 1..=BURST {
            throttle.failed(address(&format!("2001:db8:1:2::{host:x}")), Duration::ZERO);
        }
        assert!(
            throttle
                .wait(address("2001:db8:1:2:ffff::1"), Duration::ZERO)
                .is_some()
        );
        assert!(
            throttle
                .wait(address("2001:db8:1:3::1"), Duration::ZERO)
                .is_none()
        );
    }

    #[test]
    fn memory_is_bounded_and_the_worst_is_remembered() {
        let throttle = Throttle::default();
        let worst = address("192.0.2.1");
        for _ in 0..=BURST {
            throttle.failed(worst, Duration::ZERO);
        }
        for number in 0..5_000 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + number).into()), Duration::ZERO);
        }
        assert_eq!(throttle.debts.lock().unwrap().len(), ADDRESSES);
        assert!(throttle.wait(worst, Duration::ZERO).is_some());
    }
}
