//! Regenerates the wire code from `proto/` and fails when what is checked in under `src/gen/` differs.
//!
//! A normal build therefore needs no protobuf compiler and no build script. After a change to a definition, run this
//! test with `TFPLUG_BOOTSTRAP=accept` to write the new code.

use std::{env, fs, path::Path};

/// The generated files, one per protobuf package.
const FILES: [&str; 2] = ["plugin.rs", "tfplugin6.rs"];

#[test]
fn the_generated_code_is_what_the_definitions_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(
        [
            root.join("proto/tfplugin6.proto"),
            root.join("proto/plugin.proto"),
        ],
        [root.join("proto")],
    )
    .unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .generate_default_stubs(true)
        .bytes(".tfplugin6.DynamicValue")
        .skip_protoc_run()
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();

    let accept = env::var_os("TFPLUG_BOOTSTRAP").is_some_and(|mode| mode == "accept");
    for file in FILES {
        let fresh = fs::read_to_string(out.path().join(file)).unwrap();
        let checked_in = root.join("src/gen").join(file);
        if accept {
            fs::write(&checked_in, &fresh).unwrap();
        }
        let current = fs::read_to_string(&checked_in).unwrap_or_default();
        assert!(
            current == fresh,
            "{} is out of date; run this test with TFPLUG_BOOTSTRAP=accept",
            checked_in.display()
        );
    }
}
