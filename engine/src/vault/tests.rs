//! What the vault promises, over all inputs.

use proptest::prelude::*;

use super::*;

fn options(dir: &tempfile::TempDir) -> Options {
    Options {
        key: KeyFrom::File(dir.path().join("vault.key")),
        ref_dirs: vec![],
        ref_env_prefixes: vec![],
    }
}

/// A store that needs this key alone.
fn under(active: &str) -> Held<'_> {
    Held::SealedUnder(Sealed {
        active,
        next: None,
        fingerprint: None,
    })
}

fn vault() -> Vault {
    let dir = tempfile::tempdir().unwrap();
    Vault::load(options(&dir), Held::Nothing).unwrap()
}

#[test]
fn a_key_is_made_once_and_its_check_value_stays() {
    let dir = tempfile::tempdir().unwrap();
    let first = Vault::load(options(&dir), Held::Nothing).unwrap();
    assert!(first.key_created());
    let sealed = first
        .seal("src_1", "client_secret", &Secret::from("s3cret"))
        .unwrap();
    let again = Vault::load(options(&dir), under(&first.key_check())).unwrap();
    assert!(!again.key_created());
    assert_eq!(again.key_check(), first.key_check());
    assert_eq!(
        again.open("src_1", "client_secret", &sealed).unwrap().expose(),
        "s3cret"
    );
}

#[test]
fn no_key_is_made_while_the_store_holds_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let error = Vault::load(options(&dir), under("0123")).unwrap_err();
    assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
    assert!(error.to_string().contains("vault.key_file"), "{error}");
    assert!(!dir.path().join("vault.key").exists());

    Vault::load(options(&dir), Held::Nothing).unwrap();
    let error = Vault::load(options(&dir), under(&vault().key_check())).unwrap_err();
    assert!(matches!(error, Error::KeyWrong { .. }), "{error}");
}

#[test]
fn a_key_file_may_be_raw_or_text_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault.key");
    let load = || Vault::load(options(&dir), Held::Nothing);
    std::fs::write(&path, [7; 32]).unwrap();
    let raw = load().unwrap().key_check();
    std::fs::write(&path, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
    assert_eq!(load().unwrap().key_check(), raw);
    for wrong in [
        &b""[..],
        b"BwcH",
        b"not base64 at all, and longer than a key would be",
        &[7; 33],
    ] {
        std::fs::write(&path, wrong).unwrap();
        let error = load().unwrap_err();
        assert!(error.to_string().contains("32 bytes"), "{error}");
    }
}

#[test]
fn several_keys_stand_in_one_file_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault.key");
    std::fs::write(&path, [7; 32]).unwrap();
    let vault = Vault::load(options(&dir), Held::Nothing).unwrap();
    let first = vault.key_check();
    let second = vault.add_key().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(&format!("# {}", key_name(&second))),
        "a raw key became text: {text}"
    );
    assert_eq!(vault.keys(), [first.clone(), second.clone()]);
    let again = Vault::load(options(&dir), under(&second)).unwrap();
    assert_eq!((again.key_check(), again.keys().len()), (second, 2));
    assert_eq!(vault.key_check(), first, "nobody turned to the new one yet");
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 1, "no draft is left");
}

#[test]
fn a_provided_key_is_neither_made_nor_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    let provided = || Options {
        key: KeyFrom::Provided(path.clone()),
        ..options(&dir)
    };
    let error = Vault::load(provided(), Held::Nothing).unwrap_err();
    assert!(
        matches!(error, Error::KeyNotProvided { .. }) && !path.exists(),
        "{error}"
    );
    std::fs::write(&path, generate_key().unwrap().expose()).unwrap();
    let vault = Vault::load(provided(), Held::Nothing).unwrap();
    assert!(!vault.key_created());
    assert!(matches!(vault.add_key(), Err(Error::KeyNotAdded { .. })));
}

#[test]
fn a_fingerprint_is_short_hex_that_differs_between_keys() {
    let secrets = [("client_secret", &Secret::from("s3cret"))];
    let (one, other) = (vault(), vault());
    let fingerprint = one.fingerprint("src_1", &secrets);
    assert_eq!(fingerprint.len(), 16);
    assert!(fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(fingerprint, one.fingerprint("src_1", &secrets));
    assert_ne!(fingerprint, one.fingerprint("src_2", &secrets));
    assert_ne!(fingerprint, other.fingerprint("src_1", &secrets));
}

#[test]
fn nothing_prints_a_secret() {
    let text = format!("{:?}", vault());
    assert!(text.starts_with("Vault {") && !text.contains("sealing"), "{text}");
}

#[tokio::test]
async fn a_reference_is_resolved_only_where_it_may_be() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("zoom"), "s3cret\n").unwrap();
    let reference = format!("file:{}/zoom", dir.path().display());
    assert!(vault().resolve_ref(&reference).await.is_err());
    let options = Options {
        ref_dirs: vec![dir.path().to_owned()],
        ..options(&dir)
    };
    let vault = Vault::load(options, Held::Nothing).unwrap();
    assert_eq!(vault.resolve_ref(&reference).await.unwrap().expose(), "s3cret");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_again_and_nowhere_else(owner: String, field: String, text: String, other: String) {
        let vault = vault();
        let secret = Secret::from(text.as_str());
        let sealed = vault.seal(&owner, &field, &secret).unwrap();
        let opened = vault.open(&owner, &field, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), text.as_str());
        prop_assert_ne!(&sealed, &vault.seal(&owner, &field, &secret).unwrap());
        if text.len() > 8 {
            prop_assert!(!sealed.windows(text.len()).any(|window| window == text.as_bytes()));
        }
        if other != owner {
            prop_assert!(vault.open(&other, &field, &sealed).is_err());
        }
        if other != field {
            prop_assert!(vault.open(&owner, &other, &sealed).is_err());
        }
        let (shifted_owner, shifted_field) = (format!("{owner}{field}"), String::new());
        prop_assert!(field.is_empty() || vault.open(&shifted_owner, &shifted_field, &sealed).is_err());
    }

    #[test]
    fn what_was_sealed_whole_still_opens_and_is_wrapped_anew_under_another_key(text: String, owner: String) {
        let dir = tempfile::tempdir().unwrap();
        let old = Vault::load(options(&dir), Held::Nothing).unwrap();
        let row = Row { owner: &owner, field: "f" };
        let whole = envelope::seal_whole(&old.keyring.sealing(), row, text.as_bytes());
        let opened = old.open(&owner, "f", &whole).unwrap();
        prop_assert_eq!(opened.expose(), text.as_str());
        prop_assert!(old.open(&owner, "g", &whole).is_err());
        let envelope = old.seal(&owner, "f", &Secret::from(text.as_str())).unwrap();
        let next = old.add_key().unwrap();
        let new = Vault::load(options(&dir), under(&next)).unwrap();
        for sealed in [whole, envelope] {
            let rewrapped = new.rewrap(&owner, "f", &sealed).unwrap();
            prop_assert!(rewrapped.starts_with(&new.header()) && !sealed.starts_with(&new.header()));
            let opened = new.open(&owner, "f", &rewrapped).unwrap();
            prop_assert_eq!(opened.expose(), text.as_str());
            prop_assert!(new.rewrap(&owner, "g", &sealed).is_err());
        }
    }

    #[test]
    fn an_altered_or_cut_envelope_does_not_open(text: String, at: prop::sample::Index, flip in 1_u8..) {
        let vault = vault();
        let sealed = vault.seal("src_1", "client_secret", &Secret::from(text)).unwrap();
        let mut altered = sealed.clone();
        altered[at.index(sealed.len())] ^= flip;
        prop_assert!(vault.open("src_1", "client_secret", &altered).is_err());
        prop_assert!(vault.open("src_1", "client_secret", &sealed[..at.index(sealed.len())]).is_err());
    }

    #[test]
    fn equality_and_fingerprints_follow_the_text(left: String, right: String) {
        let vault = vault();
        let (a, b) = (Secret::from(left.as_str()), Secret::from(right.as_str()));
        prop_assert_eq!(vault.equal(&a, &b), left == right);
        prop_assert!(vault.equal(&a, &a.clone()));
        let same = vault.fingerprint("o", &[("f", &a)]) == vault.fingerprint("o", &[("f", &b)]);
        prop_assert_eq!(same, left == right);
        prop_assert_eq!(
            vault.fingerprint("o", &[("f", &a), ("g", &b)]),
            vault.fingerprint("o", &[("g", &b), ("f", &a)])
        );
    }
}
