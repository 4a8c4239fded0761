//! How many wrong guesses somebody may make: so many at once, and one more every little while. Of tokens, by the address
//! that they come from; of a stored secret, by the object that has it.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How many wrong guesses are looked at at once.
const BURST: u32 = 20;
/// How many guessers are remembered.
const REMEMBERED: usize = 4_096;

/// Counts wrong guesses by whoever or whatever they are counted for, in bounded memory.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    /// How long it takes until one more guess is looked at.
    one_more: Duration,
    /// Until when, by the monotonic clock, what was guessed is worked off.
    debts: Mutex<HashMap<K, Duration>>,
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    pub(super) fn new(one_more: Duration) -> Self {
        Self {
            one_more,
            debts: Mutex::default(),
        }
    }

    /// How long to wait before another guess is looked at; `None` where that need not be.
    pub(super) fn wait(&self, key: &K, now: Duration) -> Option<Duration> {
        let debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let debt = debts.get(key)?.saturating_sub(now);
        let wait = (debt + self.one_more).saturating_sub(self.one_more * BURST);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a wrong guess.
    pub(super) fn failed(&self, key: K, now: Duration) {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.len() >= REMEMBERED && !debts.contains_key(&key) {
            debts.retain(|_, until| *until > now);
            // Whoever owes least is forgiven, so that a crowd does not free the worst of them.
            let least = debts.iter().min_by_key(|(_, until)| **until);
            if let Some(least) = least
                .map(|(key, _)| key.clone())
                .filter(|_| debts.len() >= REMEMBERED)
            {
                debts.remove(&least);
            }
        }
        let until = debts.entry(key).or_default();
        *until = (*until).max(now) + self.one_more;
    }
}

/// What one caller can take addresses from at will counts as one.
pub(super) fn network(address: IpAddr) -> IpAddr {
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

    const ONE_MORE: Duration = Duration::from_secs(3);

    fn address(text: &str) -> IpAddr {
        network(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_fails_too_often_waits_and_others_do_not() {
        let throttle = Throttle::new(ONE_MORE);
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..BURST {
            assert_eq!(throttle.wait(&bad, Duration::ZERO), None);
            throttle.failed(bad, Duration::ZERO);
        }
        assert_eq!(throttle.wait(&bad, Duration::ZERO), Some(ONE_MORE));
        assert_eq!(
            throttle.wait(&address("::ffff:192.0.2.1"), Duration::ZERO),
            Some(ONE_MORE)
        );
        assert_eq!(throttle.wait(&good, Duration::ZERO), None);
        assert_eq!(throttle.wait(&bad, ONE_MORE), None);
        throttle.failed(bad, ONE_MORE);
        assert_eq!(throttle.wait(&bad, ONE_MORE), Some(ONE_MORE));
        assert_eq!(throttle.wait(&bad, ONE_MORE * (BURST + 1)), None);
    }

    #[test]
    fn a_network_of_one_caller_counts_as_one() {
        let throttle = Throttle::new(ONE_MORE);
        for host in 1..=BURST {
            throttle.failed(address(&format!("2001:db8:1:2::{host:x}")), Duration::ZERO);
        }
        assert!(
            throttle
                .wait(&address("2001:db8:1:2:ffff::1"), Duration::ZERO)
                .is_some()
        );
        assert!(
            throttle
                .wait(&address("2001:db8:1:3::1"), Duration::ZERO)
                .is_none()
        );
    }

    #[test]
    fn memory_is_bounded_and_the_worst_is_remembered() {
        let throttle = Throttle::new(ONE_MORE);
        let worst = address("192.0.2.1");
        for _ in 0..=BURST {
            throttle.failed(worst, Duration::ZERO);
        }
        for number in 0..5_000 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + number).into()), Duration::ZERO);
        }
        assert_eq!(throttle.debts.lock().unwrap().len(), REMEMBERED);
        assert!(throttle.wait(&worst, Duration::ZERO).is_some());
    }
}
