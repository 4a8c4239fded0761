//! A small seeded generator: the same seed gives the same rows, twins and faults on every machine.

/// `SplitMix64`: one word of state, good enough to shuffle test data and never used for a secret.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number in `0..bound`, and 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a plain remainder is far below anything a test could see.
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// Returns true `percent` times in a hundred.
    pub fn percent(&mut self, percent: f64) -> bool {
        // Parts in ten thousand, so that "0.5 percent" means something.
        let drawn = u32::try_from(self.below(10_000)).unwrap_or(u32::MAX);
        f64::from(drawn) < percent * 100.0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.index(from.len())]
    }

    /// Returns an index into a list of `len` entries.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn equal_seeds_give_equal_streams_and_percent_is_a_share() {
        let mut left = Rng::new(7);
        let mut right = Rng::new(7);
        assert!((0..100).all(|_| left.next_u64() == right.next_u64()));
        let hits = (0..100_000).filter(|_| left.percent(2.0)).count();
        assert!((1_700..2_300).contains(&hits), "{hits} of 100000 at 2 percent");
    }
}
