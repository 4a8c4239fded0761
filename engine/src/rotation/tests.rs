//! A rotation over a store that engines go on writing to.

use std::path::PathBuf;

use engine_api::{AuditQuery, Kind, Secret};

use super::*;
use crate::{
    store::{catalog::Content, secrets::SealedSecret, testing::Fixture},
    vault::KeyFrom,
};

struct Install {
    fixture: Fixture,
}

impl Install {
    async fn new() -> Self {
        Self {
            fixture: Fixture::new().await,
        }
    }

    fn key_file(&self) -> PathBuf {
        self.fixture.dir.path().join("vault.key")
    }

    fn options(&self) -> Options {
        Options {
            key: KeyFrom::File(self.key_file()),
            ref_dirs: Vec::new(),
            ref_env_prefixes: Vec::new(),
        }
    }

    /// A vault as a process has it that starts now.
    async fn vault(&self) -> Vault {
        open_vault(self.options(), &self.fixture.store).await.unwrap()
    }

    async fn create(&self, vault: &Vault, number: u32) -> Result<(), store::Error> {
        let id = id(number);
        let sealed = vault
            .seal(&id, "f", &Secret::from(format!("secret-{number}")))
            .unwrap();
        self.create_sealed(&id, sealed).await
    }

    async fn create_sealed(&self, id: &str, sealed: Vec<u8>) -> Result<(), store::Error> {
        let content = Content {
            name: id.to_owned(),
            spec: format!(r#"{{"name":"{id}","file":{{"path":"{id}"}}}}"#),
            fingerprint: None,
            secrets: vec![SealedSecret {
                field: "f".to_owned(),
                sealed,
            }],
            references: Vec::new(),
        };
        let store = &self.fixture.store;
        store
            .create_object(Kind::Destination, id, &content, None)
            .await
            .map(|created| {
                created.unwrap();
            })
    }

    async fn secret(&self, vault: &Vault, number: u32) -> String {
        let id = id(number);
        let found = self
            .fixture
            .store
            .object_with_secrets(Kind::Destination, &id)
            .await;
        let (_, sealed) = found.unwrap().unwrap();
        let secret = vault.open(&id, "f", &sealed[0].sealed).unwrap();
        secret.expose().to_owned()
    }
}

fn id(number: u32) -> String {
    format!("dst_{number:026}")
}

async fn engines_go_on_while_the_key_is_replaced_and_the_former_one_is_not_needed_any_more() {
    let install = Install::new().await;
    let engine = install.vault().await;
    let print = engine.fingerprint("o", &[("f", &Secret::from("x"))]);
    for number in 0..250 {
        install.create(&engine, number).await.unwrap();
    }
    let before = install
        .fixture
        .store
        .object(Kind::Destination, &id(7))
        .await
        .unwrap()
        .unwrap();
    let former = std::fs::read_to_string(install.key_file()).unwrap();

    let command = install.vault().await;
    let mut said = Vec::new();
    let report = rotate(&install.fixture.store, &command, &mut said).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(report.rewrapped, 250);
    assert!(
        said.contains("may be thrown away") && said.contains(&report.former),
        "{said}"
    );
    let keys = std::fs::read_to_string(install.key_file()).unwrap();
    assert!(
        keys.starts_with(former.trim_end()) && keys.lines().count() == 2,
        "old and new side by side"
    );
    assert!(!said.contains(former.split_whitespace().next().unwrap()));

    // The engine that was running opens what it does not know yet by reading its file again.
    assert_eq!(install.secret(&engine, 7).await, "secret-7");
    let after = install
        .fixture
        .store
        .object(Kind::Destination, &id(7))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(before, after, "the object did not change");
    // What it seals without having asked is refused, and taken once it has.
    let refused = install.create(&engine, 300).await.unwrap_err();
    assert!(matches!(refused, store::Error::KeyRetired), "{refused:?}");
    follow(&install.fixture.store, &engine).await.unwrap();
    install.create(&engine, 300).await.unwrap();

    // Without the former key everything opens, and no fingerprint has changed.
    let only = keys.lines().skip(1).collect::<Vec<_>>().join("\n");
    std::fs::write(install.key_file(), only).unwrap();
    let later = install.vault().await;
    for number in (0..250).chain([300]) {
        assert_eq!(install.secret(&later, number).await, format!("secret-{number}"));
    }
    assert_eq!(later.fingerprint("o", &[("f", &Secret::from("x"))]), print);
    let entries = install
        .fixture
        .store
        .audit(&AuditQuery::default(), 1)
        .await
        .unwrap();
    assert_eq!(
        (entries[0].action.as_str(), entries[0].actor.kind),
        ("vault.rotate", ActorKind::Command)
    );
    assert_eq!(entries[0].after.as_ref().unwrap()["key"], report.key.as_str());

    // A second rotation goes to a third key, never back to the one that was thrown away.
    std::fs::write(install.key_file(), keys).unwrap();
    let again = rotate(&install.fixture.store, &install.vault().await, &mut Vec::new())
        .await
        .unwrap();
    assert!(again.former == report.key && again.key != report.former);
    let last = install.vault().await;
    assert_eq!(last.fingerprint("o", &[("f", &Secret::from("x"))]), print);
    let mut said = Vec::new();
    status(&install.fixture.store, &last, &mut said).await.unwrap();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains(&format!("{}  251 secrets  in use", again.key)),
        "{said}"
    );
    assert!(
        said.contains(&format!("{}  0 secrets  was in use before", report.key)),
        "{said}"
    );
}

async fn what_an_engine_stores_under_the_old_key_meanwhile_is_wrapped_before_the_switch() {
    let install = Install::new().await;
    let engine = install.vault().await;
    install.create(&engine, 1).await.unwrap();
    let command = install.vault().await;
    let state = install.fixture.store.key_state().await.unwrap().unwrap();
    let next = command::begin(&install.fixture.store, &command, &state, &mut Vec::new())
        .await
        .unwrap();
    // Sealed before the engine heard of the new key, and stored after it was announced.
    install.create(&engine, 2).await.unwrap();
    let left = install
        .fixture
        .store
        .switch_key(&state, &next, &command.header())
        .await
        .unwrap();
    assert_eq!(
        left,
        Err(2),
        "nothing is switched while a secret needs the former key"
    );
    let unchanged = install.fixture.store.key_state().await.unwrap().unwrap();
    assert_eq!((unchanged.active, unchanged.next), (state.active, Some(next)));
    let report = rotate(&install.fixture.store, &install.vault().await, &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(report.rewrapped, 2);
}

async fn an_access_token_under_the_former_key_is_given_up_and_none_is_kept_any_more() {
    let install = Install::new().await;
    let engine = install.vault().await;
    let store = &install.fixture.store;
    let end = crate::retry::later(install.fixture.now(), std::time::Duration::from_hours(1));
    let former = engine
        .seal("corp", "access_token", &Secret::from("first"))
        .unwrap();
    store.put_access("corp", &former, end).await.unwrap();
    let before = store.access("corp").await.unwrap().unwrap();
    let report = rotate(store, &install.vault().await, &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(report.rewrapped, 0);
    let after = store.access("corp").await.unwrap().unwrap();
    assert!(
        after.token.is_none() && after.fence.0 > before.fence.0,
        "{after:?}"
    );

    let refused = store.put_access("corp", &former, end).await.unwrap_err();
    assert!(matches!(refused, store::Error::KeyRetired), "{refused:?}");
    let claim = (
        store
            .claim_access("corp", after.fence, "one", end)
            .await
            .unwrap()
            .unwrap(),
        "one",
    );
    let refused = store.keep_access("corp", claim, &former, end).await.unwrap_err();
    assert!(matches!(refused, store::Error::KeyRetired), "{refused:?}");
    follow(store, &engine).await.unwrap();
    let sealed = engine
        .seal("corp", "access_token", &Secret::from("second"))
        .unwrap();
    assert_eq!(
        store.keep_access("corp", claim, &sealed, end).await.unwrap(),
        Ok(())
    );
}

async fn a_key_that_was_lost_or_never_came_is_named_and_nothing_is_overwritten() {
    let install = Install::new().await;
    let engine = install.vault().await;
    install.create(&engine, 1).await.unwrap();
    let file = std::fs::read(install.key_file()).unwrap();
    std::fs::remove_file(install.key_file()).unwrap();
    let error = open_vault(install.options(), &install.fixture.store)
        .await
        .unwrap_err();
    let name = vault::key_name(&engine.key_check());
    assert!(
        error.to_string().contains(&name) && error.to_string().contains("none is made"),
        "{error}"
    );
    assert!(!install.key_file().exists());

    // A key that only the command has: the engine refuses to seal rather than to seal with the former one.
    std::fs::write(install.key_file(), &file).unwrap();
    let given = |keys: &str| Options {
        key: KeyFrom::Text {
            place: "the variable `K`".to_owned(),
            text: Secret::from(keys),
        },
        ..install.options()
    };
    let one = String::from_utf8(file).unwrap();
    let fixed = open_vault(given(&one), &install.fixture.store).await.unwrap();
    let alone = rotate(&install.fixture.store, &fixed, &mut Vec::new())
        .await
        .unwrap_err();
    assert!(alone.to_string().contains("key generate"), "{alone}");
    let both = format!(
        "{},{}",
        one.split_whitespace().next().unwrap(),
        vault::generate_key().unwrap().expose()
    );
    let command = open_vault(given(&both), &install.fixture.store).await.unwrap();
    rotate(&install.fixture.store, &command, &mut Vec::new())
        .await
        .unwrap();
    let error = follow(&install.fixture.store, &fixed).await.unwrap_err();
    assert!(error.to_string().contains("the variable `K`"), "{error}");
    let stored = install
        .fixture
        .store
        .object_with_secrets(Kind::Destination, &id(1))
        .await
        .unwrap()
        .unwrap();
    let unknown = fixed.open(&id(1), "f", &stored.1[0].sealed).unwrap_err();
    assert!(matches!(unknown, vault::Error::KeyNotHeld { .. }), "{unknown}");
}

async fn a_secret_that_does_not_open_keeps_both_keys_and_is_named() {
    let install = Install::new().await;
    let engine = install.vault().await;
    install.create(&engine, 1).await.unwrap();
    let mut moved = engine.seal(&id(1), "f", &Secret::from("of another row")).unwrap();
    install.create_sealed(&id(2), moved.clone()).await.unwrap();
    moved.truncate(30);
    install.create_sealed(&id(3), moved).await.unwrap();
    let error = rotate(&install.fixture.store, &install.vault().await, &mut Vec::new())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&id(2)) && text.contains(&id(3)) && !text.contains(&id(1)),
        "{text}"
    );
    let state = install.fixture.store.key_state().await.unwrap().unwrap();
    assert_eq!(state.active, engine.key_check());
    for number in [2, 3] {
        install
            .fixture
            .store
            .remove_object(Kind::Destination, &id(number), None)
            .await
            .unwrap()
            .unwrap();
    }
    rotate(&install.fixture.store, &install.vault().await, &mut Vec::new())
        .await
        .unwrap();
    assert_eq!(install.secret(&install.vault().await, 1).await, "secret-1");
}

crate::store::testing::on_both!(
    engines_go_on_while_the_key_is_replaced_and_the_former_one_is_not_needed_any_more,
    what_an_engine_stores_under_the_old_key_meanwhile_is_wrapped_before_the_switch,
    an_access_token_under_the_former_key_is_given_up_and_none_is_kept_any_more,
    a_key_that_was_lost_or_never_came_is_named_and_nothing_is_overwritten,
    a_secret_that_does_not_open_keeps_both_keys_and_is_named,
);
