//! Repeated measurements of one thing, and what is said of them.

use std::time::Duration;

/// One value for each repetition, in the order in which they were measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds what another series has.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub fn push_seconds(&mut self, took: Duration) {
        self.push(took.as_secs_f64());
    }

    pub fn push_millis(&mut self, took: Duration) {
        self.push(took.as_secs_f64() * 1e3);
    }

    /// Returns how often each value of this series is its counterpart in another.
    ///
    /// The two were measured in turns, so what disturbed the machine meanwhile struck both values of a pair.
    ///
    /// # Panics
    ///
    /// When they are not of one length.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        assert_eq!(self.0.len(), other.0.len(), "series of one run");
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(own, other)| own / other)
                .collect(),
        )
    }

    /// Returns by how much each value of this series exceeds its counterpart in another, of the same run.
    ///
    /// # Panics
    ///
    /// When they are not of one length.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        assert_eq!(self.0.len(), other.0.len(), "series of one run");
        self.0
            .iter()
            .zip(&other.0)
            .map(|(own, other)| own - other)
            .collect()
    }

    /// Returns each value as often as `factor` says.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        self.0.iter().map(|value| value * factor).collect()
    }

    /// Returns the values.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }

    /// Returns the middle value; of an even number, the mean of the middle two.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        }
    }

    /// Returns the least value that nine tenths of all do not exceed.
    pub fn p90(&self) -> f64 {
        self.percentile(90)
    }

    /// Returns the least value that so many in a hundred do not exceed.
    pub fn percentile(&self, percent: usize) -> f64 {
        let sorted = self.sorted();
        sorted[(sorted.len() * percent).div_ceil(100) - 1]
    }

    pub fn least(&self) -> f64 {
        self.sorted()[0]
    }

    pub fn most(&self) -> f64 {
        let sorted = self.sorted();
        sorted[sorted.len() - 1]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sorted(&self) -> Vec<f64> {
        assert!(!self.0.is_empty(), "nothing was measured");
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "the values are exact in binary, and so is what is made of them"
)]
mod tests {
    use super::Series;

    #[test]
    fn a_series_knows_its_middle_and_its_ends() {
        let odd: Series = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!((odd.least(), odd.median(), odd.most()), (1.0, 2.0, 3.0));
        let even: Series = [4.0, 1.0, 2.0, 3.0].into_iter().collect();
        assert_eq!(even.median(), 2.5);
        let ten: Series = (1..=10).map(f64::from).collect();
        assert_eq!((ten.p90(), ten.percentile(99)), (9.0, 10.0));
        assert_eq!([7.0].into_iter().collect::<Series>().p90(), 7.0);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let own: Series = [2.0, 9.0].into_iter().collect();
        let other: Series = [1.0, 3.0].into_iter().collect();
        assert_eq!(own.over(&other), [2.0, 3.0].into_iter().collect());
        assert_eq!(own.minus(&other), [1.0, 6.0].into_iter().collect());
        assert_eq!(own.times(0.5), [1.0, 4.5].into_iter().collect());
    }
}
