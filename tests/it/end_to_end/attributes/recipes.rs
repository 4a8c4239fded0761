//! For each attribute, the values that it takes in the course of the suite.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{ACCOUNT, CLIENT, SECRET, Stage};

/// What a change of an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// An update in place, which anybody may make.
    Plain,
    /// The same, seen in the fingerprint only.
    Secret,
    /// Another object. The engine lets nobody change it.
    Replaces,
}

/// How to test an attribute.
#[derive(Debug, Clone)]
pub(in super::super) struct Recipe {
    pub(super) sort: Sort,
    /// What stands beside it, over the members that every object of its type has; null takes one of these away.
    pub(super) beside: Value,
    /// What it is created with.
    pub(in super::super) first: Value,
    /// What an update sets.
    pub(in super::super) second: Value,
    /// What somebody sets behind Terraform's back.
    pub(in super::super) by_hand: Value,
}

impl Recipe {
    fn of(sort: Sort, values: [Value; 3]) -> Self {
        let [first, second, by_hand] = values;
        Self {
            sort,
            beside: json!({}),
            first,
            second,
            by_hand,
        }
    }

    fn beside(mut self, beside: Value) -> Self {
        self.beside = beside;
        self
    }
}

fn plain<T: Into<Value>>(values: [T; 3]) -> Recipe {
    Recipe::of(Sort::Plain, values.map(Into::into))
}

fn secret() -> Recipe {
    Recipe::of(
        Sort::Secret,
        ["secret-marker-a", "secret-marker-b", "secret-marker-c"].map(Value::from),
    )
}

/// Instants that Zoom still has, and that differ by days.
fn instants() -> [String; 3] {
    [2, 3, 4].map(|days| {
        let then = jiff::Timestamp::now() - std::time::Duration::from_hours(24 * days);
        then.round(jiff::Unit::Hour).unwrap().to_string()
    })
}

/// What there is to refer to.
pub(in super::super) struct Surroundings<'a> {
    /// A folder from which the engine may read secrets.
    folder: &'a Path,
    destinations: [String; 2],
    channels: [String; 2],
}

impl<'a> Surroundings<'a> {
    /// Makes them; `folder` is one from which the engine of the stage may read secrets.
    pub(in super::super) async fn make(stage: &Stage, folder: &'a Path) -> Self {
        let destination = async |name: &str| {
            let spec = json!({ "name": name, "file": { "path": name } });
            stage.engine.create("destinations", spec).await
        };
        let channel = async |name: &str| {
            let spec = json!({ "name": name, "webhook": { "url": "http://127.0.0.1:9/" } });
            stage.engine.create("alarm-channels", spec).await
        };
        Self {
            folder,
            destinations: [destination("one").await, destination("two").await],
            channels: [channel("here").await, channel("there").await],
        }
    }

    fn references(&self) -> [String; 3] {
        ["one", "two", "three"].map(|name| {
            let path = self.folder.join(name);
            std::fs::write(&path, format!("referred-{name}")).unwrap();
            format!("file:{}", path.display())
        })
    }

    /// Returns the members that every object of a type has.
    pub(in super::super) fn usual(type_name: &str, url: &str) -> Value {
        match type_name {
            "zoom_log_source" => json!({
                "account_id": ACCOUNT, "client_id": CLIENT, "client_secret": SECRET, "verify": false,
            }),
            "zoom_log_destination" => json!({ "http": { "url": url } }),
            "zoom_log_alarm_channel" => json!({ "webhook": { "url": url } }),
            other => panic!("`{other}` is new: say here what each of its objects has"),
        }
    }

    /// Returns how to test an attribute; none for one that nobody has thought of yet.
    pub(in super::super) fn recipe(&self, type_name: &str, path: &str) -> Option<Recipe> {
        let short = type_name.strip_prefix("zoom_log_")?;
        let [one, two] = &self.destinations;
        let [here, there] = &self.channels;
        let anonymous = json!({ "authorization": "authorization_code", "account_id": null });
        Some(match (short, path) {
            (_, "name") => plain([format!("{short}-a"), format!("{short}-b"), format!("{short}-c")]),
            (_, "secrets_version") | ("source", "client_secret_version") => plain(["1", "2", "3"]),
            ("source", "authorization") => {
                plain(["server_to_server", "authorization_code", "authorization_code"])
            }
            ("source", "account_id") => Recipe::of(Sort::Replaces, ["a", "b", "c"].map(Value::from)),
            ("source", "cloud") => {
                let clouds = ["commercial", "government", "government"];
                Recipe::of(Sort::Replaces, clouds.map(Value::from))
            }
            ("source", "allow_account_change") => plain([true, false, false]).beside(anonymous),
            ("source", "client_id") => plain(["a", "b", "c"]),
            ("source", "client_secret") => secret(),
            ("source", "client_secret_ref") => {
                plain(self.references()).beside(json!({ "client_secret": null }))
            }
            ("source", "log_types") | ("destination", "only.log_types") => plain([
                json!(["operation"]),
                json!(["activity"]),
                json!(["activity", "operation"]),
            ]),
            ("source", "destination_ids") => plain([json!([one]), json!([two]), json!([])]),
            ("source", "enabled") | ("destination", "audit_log") => plain([true, false, false]),
            ("source", "verify") | ("destination", "metadata") => plain([false, true, true]),
            ("source", "poll_interval") => plain(["15m", "20m", "25m"]),
            ("source", "late_window") => plain(["24h", "36h", "3d"]),
            ("source", "sweep_interval") => plain(["2h", "3h", "4h"]),
            ("source", "daily_request_budget") => plain([500, 600, 700]),
            ("source", "start_from") => plain(instants()),
            ("source", "drop_off_alarm.after") => plain(["24h", "30h", "2d"]),
            ("source", "drop_off_alarm.channel_ids") => {
                let values = plain([json!([here]), json!([there]), json!([here, there])]);
                values.beside(json!({ "drop_off_alarm": { "after": "24h" } }))
            }
            ("destination", "file.path") => plain(["a", "b", "c"]).beside(json!({ "http": null })),
            ("destination", "only.labels") => {
                plain([json!(["sso"]), json!(["billing"]), json!(["billing", "sso"])])
            }
            ("destination", "http.format") => plain(["json_array", "ndjson", "ndjson"]),
            ("destination", "http.compression") => plain(["gzip", "none", "none"]),
            ("destination", "http.batch.max_events") => plain([100, 200, 300]),
            ("destination", "http.batch.max_bytes") => plain([2_048, 4_096, 8_192]),
            ("destination", "http.batch.max_age") => plain(["2s", "3s", "4s"]),
            ("destination", "http.timeout") => plain(["5s", "6s", "7s"]),
            ("destination", "http.basic.username") => {
                plain(["a", "b", "c"]).beside(json!({ "http": { "basic": { "password": "secret-marker" } } }))
            }
            ("destination", "http.basic.password") => {
                secret().beside(json!({ "http": { "basic": { "username": "u" } } }))
            }
            ("destination", "http.basic.password_ref") => {
                plain(self.references()).beside(json!({ "http": { "basic": { "username": "u" } } }))
            }
            ("destination", "http.secret_header.name") => {
                let header = json!({ "http": { "secret_header": { "value": "secret-marker" } } });
                plain(["x-a", "x-b", "x-c"]).beside(header)
            }
            ("destination", "http.secret_header.value") => {
                secret().beside(json!({ "http": { "secret_header": { "name": "x-api-key" } } }))
            }
            ("destination", "http.secret_header.value_ref") => plain(self.references())
                .beside(json!({ "http": { "secret_header": { "name": "x-api-key" } } })),
            ("destination", _) => self.of_http(path.strip_prefix("http.")?)?,
            ("alarm_channel", _) => self.of_http(path.strip_prefix("webhook.")?)?,
            _ => return None,
        })
    }

    /// What the two kinds of HTTP endpoint have in common.
    fn of_http(&self, path: &str) -> Option<Recipe> {
        Some(match path {
            "url" => plain([
                "http://127.0.0.1:9/a",
                "http://127.0.0.1:9/b",
                "http://127.0.0.1:9/c",
            ]),
            "headers" => plain([json!({ "x-team": "a" }), json!({ "x-team": "b" }), json!({})]),
            "bearer_token" | "signing_secret" => secret(),
            "bearer_token_ref" | "signing_secret_ref" => plain(self.references()),
            _ => return None,
        })
    }
}
