//! Who may read what holds a key, and from where a reference may read.

use e2e::leak::Hunt;
use serde_json::json;

use super::{ACCOUNT, Stage};

#[tokio::test]
async fn the_files_that_hold_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::set().await;
    let is_private = |name: &str| {
        let path = stage.engine.data_dir().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} has mode {mode:o}");
    };
    // The store too, from the first byte on: what is new is in the file beside it.
    for name in ["engine.db", "engine.db-wal", "engine.db-shm"] {
        is_private(name);
    }
    for name in ["admin-token", "vault.key"] {
        is_private(name);
        assert!(
            stage.engine.log().contains(name),
            "the path of {name} is not printed"
        );
    }
    let hunt = Hunt::new([("the administrator's token", &*stage.engine.token())]);
    assert!(hunt.in_bytes("the log", stage.engine.log().as_bytes()).is_empty());
}

#[tokio::test]
async fn a_reference_reads_only_where_the_engine_allows() {
    let mut stage = Stage::set().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("zoom");
    std::fs::write(&file, format!("{}\n", super::SECRET)).unwrap();
    stage.engine.stop().await;
    stage
        .engine
        .set("vault.ref_dirs", &directory.path().to_string_lossy());
    stage.engine.set("vault.ref_env_prefixes", "ZOOM_");
    stage.engine.set_variable("ZOOM_SECRET", super::SECRET);
    stage.engine.set_variable("OTHER_SECRET", super::SECRET);
    stage.engine.start_again().await;
    let spec = |reference: &str| json!({"name": reference, "account_id": ACCOUNT, "client_id": "cid", "client_secret_ref": reference});
    let good = format!("file:{}", file.display());
    let id = stage.engine.create("sources", spec(&good)).await;
    stage.engine.create("sources", spec("env:ZOOM_SECRET")).await;
    let passwd = "file:/etc/passwd".to_owned();
    let climbing = format!("file:{}/../passwd", directory.path().display());
    for bad in [
        "env:OTHER_SECRET".to_owned(),
        "env:PATH".to_owned(),
        passwd,
        climbing,
    ] {
        let answer = stage
            .engine
            .ask(reqwest::Method::POST, "/v1/sources", Some(&spec(&bad)))
            .await
            .expect(422)
            .json();
        assert_eq!(
            (&answer["code"], &answer["field"]),
            (&json!("secret_ref_refused"), &json!("client_secret_ref")),
            "{bad}"
        );
    }
    // The file is read again when Zoom refuses what was read before.
    stage
        .sim
        .change_app("cid", |app| app.client_secret = "rotated".into());
    std::fs::write(&file, "rotated").unwrap();
    stage.sim.revoke_tokens(None);
    assert!(stage.engine.client().check_source(&id).await.unwrap().ok);
}
