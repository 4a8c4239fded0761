//! The provider that was just built, driven as Terraform drives it: for what the installed version cannot ask yet.

use std::process::Command;

use tfplug::{
    conformance::{
        driver::Driver,
        host::{Link, Plugin as Started},
    },
    value::Value,
};

use crate::binaries::Binary;

/// A running provider, and who asks it. It ends when this is dropped.
#[derive(Debug)]
pub struct Plugin {
    /// Asks as Terraform 1.14 does.
    pub driver: Driver<Link>,
    /// The process, for as long as it is asked.
    _started: Started,
}

impl Plugin {
    /// Starts the provider and configures it for the engine at `engine_url`.
    ///
    /// # Panics
    ///
    /// When it does not start, or does not let us in.
    pub async fn start(engine_url: &str, token: &str) -> Self {
        let mut command = Command::new(Binary::Provider.path());
        command
            .env_clear()
            .env("ZOOM_LOG_ENGINE_URL", engine_url)
            .env("ZOOM_LOG_ENGINE_TOKEN", token);
        let started = Started::start(command, true).expect("the provider starts");
        let link = started.connect().await.expect("the provider lets its host in");
        let mut driver = Driver::with_client(link.client()).await;
        driver.configure(&Value::object::<&str>([])).await;
        Self {
            driver,
            _started: started,
        }
    }
}

/// Returns an object of these members; what a type has beside them is null.
pub fn object(members: &[(&str, Value)]) -> Value {
    Value::object(members.iter().map(|(name, value)| (*name, value.clone())))
}
