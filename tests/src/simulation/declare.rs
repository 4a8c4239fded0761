//! What users write down: at the start, and when they bring a new secret.

use engine_api::{AlarmChannelId, DestinationId, Kind, SourceId};
use jiff::SignedDuration;
use serde_json::{Value, json};
use zoom_log_engine::store::{
    catalog::{Content, Reference},
    consents::NewConsent,
    secrets::SealedSecret,
};

use super::{
    network::{CHANNEL, RECEIVER},
    run::Run,
};

/// The app of all sources.
const CLIENT: &str = "client";

impl Run<'_> {
    /// What a user has written down.
    pub(super) async fn declare(&mut self) {
        let mut destinations = vec![DestinationId::from_bytes([1; 16]).to_string()];
        let hook = json!({"name": "hook", "http": {
            "url": RECEIVER, "batch": {"max_events": 7, "max_age": "0s"}, "timeout": "20s",
        }});
        self.create(Kind::Destination, &destinations[0], &hook, &[]).await;
        if self.plan.file {
            let id = DestinationId::from_bytes([2; 16]).to_string();
            self.create(
                Kind::Destination,
                &id,
                &json!({"name": "lake", "file": {"path": "lake"}}),
                &[],
            )
            .await;
            destinations.push(id);
        }
        let channel = AlarmChannelId::from_bytes([3; 16]).to_string();
        if self.plan.alarm_after.is_some() {
            let spec = json!({"name": "oncall", "webhook": {"url": CHANNEL}});
            self.create(Kind::AlarmChannel, &channel, &spec, &[]).await;
        }
        for (number, account) in self.plan.sources.clone().into_iter().enumerate() {
            let tag = 0x10 + u8::try_from(number).expect("few sources");
            let id = SourceId::from_bytes([tag; 16]).to_string();
            let mut needs = destinations.clone();
            let mut spec = json!({
                "name": format!("source {number}"),
                "account_id": format!("account{account}"),
                "client_id": CLIENT,
                "destination_ids": destinations,
                "poll_interval": written(self.plan.poll_interval),
                "start_from": self.plan.start_from.to_string(),
                "verify": false,
            });
            if self.plan.accounts[account].consent {
                spec["authorization"] = json!("authorization_code");
            }
            if let Some(after) = self.plan.alarm_after {
                spec["drop_off_alarm"] = json!({"after": written(after), "channel_ids": [channel]});
                needs.push(channel.clone());
            }
            self.create(Kind::Source, &id, &spec, &needs).await;
            self.sources.push((id, account));
        }
        self.consents().await;
    }

    /// Whoever lets sources in consents, where nobody has yet or what Zoom gave is void.
    pub(super) async fn consents(&mut self) {
        for (id, account) in self.sources.clone() {
            if !self.plan.accounts[account].consent {
                continue;
            }
            let store = self.store();
            let row = store.consent(&id, CLIENT).await.expect("the store");
            if row.is_some_and(|row| !row.is_void()) {
                continue;
            }
            let token = self.shared.world().accounts[account].consent();
            self.note(|| format!("somebody consents for {id}"));
            let sealed = self.template.vault().seal(&id, "refresh_token", &token.into());
            let new = NewConsent {
                client_id: CLIENT,
                account_id: None,
                token: &sealed.expect("seal a token"),
                due_at: self.now() + SignedDuration::from_hours(20),
            };
            let taken = store.take_consent(&id, &new).await;
            taken.expect("the store").expect("a consent for a source");
            self.outcome.consents += 1;
            self.rouse();
        }
    }

    async fn create(&self, kind: Kind, id: &str, spec: &Value, needs: &[String]) {
        let content = self.content(kind, id, spec, needs, "secret-1");
        let created = self.store().create_object(kind, id, &content, None).await;
        created.expect("the store").expect("a spec that can be stored");
    }

    fn content(&self, kind: Kind, id: &str, spec: &Value, needs: &[String], secret: &str) -> Content {
        let sealed = |field: &str| {
            let sealed = self.template.vault().seal(id, field, &secret.into());
            SealedSecret {
                field: field.to_owned(),
                sealed: sealed.expect("seal a secret"),
            }
        };
        Content {
            name: spec["name"].as_str().unwrap_or_default().to_owned(),
            spec: spec.to_string(),
            fingerprint: None,
            secrets: if kind == Kind::Source {
                vec![sealed("client_secret")]
            } else {
                Vec::new()
            },
            references: needs
                .iter()
                .map(|id| Reference {
                    field: "needs",
                    id: id.clone(),
                })
                .collect(),
        }
    }

    /// A user writes the secret that Zoom has now into the sources of an account.
    pub(super) async fn rotate(&mut self, account: usize) {
        let secret = self.shared.world().accounts[account].secret.clone();
        for (id, number) in &self.sources {
            if *number != account {
                continue;
            }
            let object = self.store().object(Kind::Source, id).await;
            let object = object.expect("the store").expect("a source");
            let spec: Value = serde_json::from_str(&object.spec).expect("a spec");
            let mut needs: Vec<String> = Vec::new();
            for list in [&spec["destination_ids"], &spec["drop_off_alarm"]["channel_ids"]] {
                let ids = list.as_array().into_iter().flatten().filter_map(Value::as_str);
                needs.extend(ids.map(str::to_owned));
            }
            let content = self.content(Kind::Source, id, &spec, &needs, &secret);
            let replaced = self
                .store()
                .replace_object(Kind::Source, id, object.generation, &content)
                .await;
            replaced.expect("the store").expect("a spec that can be stored");
        }
        self.rouse();
    }
}

/// A length of time as specs have it.
fn written(length: SignedDuration) -> String {
    format!("{}s", length.as_secs())
}
