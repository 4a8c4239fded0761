//! Placeholder until the doors branch lands.
#[derive(Debug, Clone)]
pub struct Clock;
impl Clock {
    pub fn now(&self) -> jiff::Timestamp { jiff::Timestamp::now() }
}
