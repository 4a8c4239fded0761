//! The real engine as a process, over a data directory that survives its restarts.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use engine_api::client::Client;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    binaries::Binary,
    disk::Disk,
    http::{self, Answer},
    process::Process,
    wait,
};

/// A running engine, or one that was killed and can be started again on the same data.
#[derive(Debug)]
pub struct Engine {
    data: TempDir,
    /// The data directory's own disk, where it has one.
    disk: Option<Disk>,
    /// Where the data directory is found from outside.
    data_dir: PathBuf,
    settings: BTreeMap<String, String>,
    process: Option<Process>,
    url: String,
    /// What earlier runs wrote.
    past_output: String,
    http: reqwest::Client,
}

impl Engine {
    /// Starts an engine that polls the Zoom at `zoom_url`, on defaults that suit tests.
    pub async fn start(zoom_url: &str) -> Self {
        Self::start_with(zoom_url, &[]).await
    }

    /// Starts an engine with further settings, given by key as in the configuration: `zoom.sweep_interval`.
    pub async fn start_with(zoom_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut engine = Self::prepared(zoom_url, settings);
        engine.start_again().await;
        engine
    }

    /// Starts an engine whose data directory is a disk by itself, of so many bytes.
    pub async fn start_on_disk(bytes: u64, zoom_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut engine = Self::prepared(zoom_url, settings);
        let disk = Disk::mount(engine.data.path(), bytes).await;
        engine.data_dir = disk.path();
        engine.disk = Some(disk);
        engine.start_again().await;
        engine
    }

    fn prepared(zoom_url: &str, settings: &[(&str, &str)]) -> Self {
        let data = tempfile::Builder::new()
            .prefix("zle-")
            .tempdir()
            .expect("a temporary directory");
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| all.insert(variable(key), value.to_owned());
        set("server.listen", "127.0.0.1:0");
        set("data_dir", &data.path().to_string_lossy());
        set("zoom.api_url", zoom_url);
        set("zoom.oauth_url", zoom_url);
        set("egress.allow_private_addresses", "true");
        set("log.level", "debug");
        set("vault.ref_env_prefixes", REFERRED_PREFIX);
        for (key, value) in settings {
            set(key, value);
        }
        for (name, secret) in REFERRED {
            all.insert(name.to_owned(), secret.to_owned());
        }
        Self {
            data_dir: data.path().to_owned(),
            data,
            disk: None,
            settings: all,
            process: None,
            url: String::new(),
            past_output: String::new(),
            http: http::client(),
        }
    }

    /// Starts the engine on its data, at the address it had before.
    ///
    /// # Panics
    ///
    /// When it runs already, or does not become ready.
    pub async fn start_again(&mut self) {
        let mut process = self.spawn();
        let line = process.line_with("listening on http").await;
        self.url = url_in(&line);
        // A restart must be found where the engine was: providers and tests hold its URL.
        let address = self
            .url
            .rsplit('/')
            .next()
            .expect("an address in the URL")
            .to_owned();
        self.settings.insert(variable("server.listen"), address);
        self.process = Some(process);
        self.ready().await;
    }

    /// Starts the engine on its data and waits for nothing: it may die at any moment.
    ///
    /// # Panics
    ///
    /// When it runs already.
    pub fn start_doomed(&mut self) {
        self.process = Some(self.spawn());
    }

    fn spawn(&self) -> Process {
        assert!(self.process.is_none(), "the engine runs already");
        Process::spawn("the engine", &mut self.command(&["serve"]))
    }

    /// Returns a command of the engine's binary with the settings of this engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = Binary::Engine.path();
        let mut command = match &self.disk {
            Some(disk) => disk.command(&program),
            None => Command::new(program),
        };
        command
            .args(arguments)
            .current_dir(self.data.path())
            .env_clear()
            .envs(&self.settings);
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.data.path());
        command
    }

    async fn ready(&self) {
        wait::until(wait::LATE, "the engine to be ready", async || {
            let answer = self.try_ask(Method::GET, "/readyz", None).await;
            match answer {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!(
                    "{} {}; log:\n{}",
                    answer.status,
                    answer.text(),
                    self.log()
                )),
                Err(error) => Err(format!("{error}; log:\n{}", self.log())),
            }
        })
        .await;
    }

    /// Talks to the engine over TLS from its next start on: trusts an authority and shows a certificate, both in PEM.
    pub fn trust(&mut self, authority: &str, identity: &str) {
        self.http = http::client_with(authority, identity);
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(variable(key), value.to_owned());
    }

    /// Sets a plain environment variable for the next start, which a secret reference may name.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Removes a variable from the next start.
    pub fn forget_variable(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Kills the engine as a power cut would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            self.past_output.push_str(&process.kill());
        }
    }

    /// Asks the engine to stop, and waits until it has done so in order.
    ///
    /// # Panics
    ///
    /// When it does not end, or not with success.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            let status = process.ended(wait::LATE).await;
            self.past_output.push_str(&process.kill());
            assert!(
                status.success(),
                "the engine ended with {status}; log:\n{}",
                self.past_output
            );
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Sends the engine a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.exit_status().is_none())
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns the disk that the data directory is.
    ///
    /// # Panics
    ///
    /// When it has none of its own.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("an engine with a disk of its own")
    }

    /// Returns where a relative path of a file destination lies.
    pub fn out(&self, path: &str) -> PathBuf {
        self.data_dir.join("out").join(path)
    }

    /// Returns everything that the engine wrote to its outputs, over all its runs.
    pub fn log(&self) -> String {
        let now = self.process.as_ref().map(Process::output).unwrap_or_default();
        format!("{}{now}", self.past_output)
    }

    /// Returns the administrator's token, which the engine made at its first start.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn token(&self) -> String {
        let path = self.data_dir.join("admin-token");
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    }

    /// Returns the typed client that the provider uses.
    pub fn client(&self) -> Client {
        Client::new(&self.url, self.token().into(), "e2e").expect("the engine's URL is one")
    }

    /// Sends a request as an administrator and returns the answer, whatever it is.
    ///
    /// # Panics
    ///
    /// When no answer comes.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.try_ask(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}; log:\n{}", self.log()))
    }

    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.token());
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await?).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.expect(200).json()
    }

    /// Creates an object of a kind (`sources`, `destinations`, `alarm-channels`) and returns its id.
    pub async fn create(&self, kind: &str, spec: Value) -> String {
        let answer = self.ask(Method::POST, &format!("/v1/{kind}"), Some(&spec)).await;
        assert!(
            matches!(answer.status, 200 | 201),
            "creating one of {kind}: {} {}",
            answer.status,
            answer.text()
        );
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Changes an object behind everyone's back: reads its spec, lets `change` at it, and puts it.
    pub async fn change(&self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) -> Value {
        let path = format!("/v1/{kind}/{id}");
        let mut spec = self.get(&path).await["spec"].take();
        change(&mut spec);
        self.ask(Method::PUT, &path, Some(&spec)).await.expect(200).json()
    }

    pub async fn delete(&self, kind: &str, id: &str) {
        let answer = self.ask(Method::DELETE, &format!("/v1/{kind}/{id}"), None).await;
        assert!(
            matches!(answer.status, 200 | 204),
            "{} {}",
            answer.status,
            answer.text()
        );
    }

    /// Returns the views of all objects of a kind.
    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let mut items = self.get(&format!("/v1/{kind}")).await["items"].take();
        items
            .as_array_mut()
            .map(std::mem::take)
            .expect("a list has items")
    }

    /// Waits until a source's status satisfies `good`, and returns it.
    pub async fn source_status(&self, id: &str, late: Duration, good: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/sources/{id}/status");
        wait::until(late, "a source's status", async || {
            let status = self.get(&path).await;
            if good(&status) {
                Ok(status)
            } else {
                Err(format!("{status:#}"))
            }
        })
        .await
    }
}

/// The secrets that each engine can be referred to, by the variables of its environment.
const REFERRED: [(&str, &str); 4] = [
    ("ZOOM_LOG_REF_ZOOM_CLIENT_SECRET", "zoom-secret-one"),
    ("ZOOM_LOG_REF_HOOK_TOKEN", "hook-token"),
    ("ZOOM_LOG_REF_HOOK_TOKEN_ONE", "hook-token-one"),
    (
        "ZOOM_LOG_REF_SIGNING_SECRET",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
];

/// What their names begin with.
const REFERRED_PREFIX: &str = "ZOOM_LOG_REF_";

/// Returns how an engine is referred to the secret that a variable of a configuration holds, for a Terraform that has no
/// write-only attributes.
pub fn reference(variable: &str) -> String {
    format!("env:{REFERRED_PREFIX}{}", variable.to_uppercase())
}

fn variable(key: &str) -> String {
    format!("ZOOM_LOG_ENGINE__{}", key.replace('.', "__").to_uppercase())
}

/// Returns the URL that a line of the log names, whatever stands around it.
fn url_in(line: &str) -> String {
    let from = line.find("http").expect("a URL in the line");
    let url = line[from..]
        .split(|c: char| c.is_whitespace() || c == '"' || c == '\'' || c == '\x1b')
        .next();
    url.expect("a URL in the line")
        .trim_end_matches(['/', ',', '.'])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{url_in, variable};

    #[test]
    fn names_and_urls_are_as_the_engine_has_them() {
        assert_eq!(variable("server.listen"), "ZOOM_LOG_ENGINE__SERVER__LISTEN");
        for line in [
            "listening on http://127.0.0.1:8420",
            r#"{"message":"listening on http://127.0.0.1:8420"}"#,
            "2026-01-01T00:00:00Z INFO listening on http://127.0.0.1:8420/ data=/x",
        ] {
            assert_eq!(url_in(line), "http://127.0.0.1:8420");
        }
    }
}
