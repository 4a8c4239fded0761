# The commands of this project. Everything they need is checked first, and said clearly where it is missing.

.PHONY: demo test test-matrix sim soak bench docs dist deny fuzz fuzz-api need help

help:
	@echo "make demo   run the main job end to end: simulator, engine, terraform"
	@echo "make test   format, lints, every test, the generated pages"
	@echo "make test-matrix  the tests that need Terraform, on each version of tests/matrix/versions; VERSIONS=newest narrows it"
	@echo "make sim    run thousands of seeds of the simulation; SEEDS=10000 sets how many, SEED=7 replays one"
	@echo "make soak   run three engines on one PostgreSQL for ten minutes while all that can fail does; SEED=7 sets the seed"
	@echo "make bench  print the benchmarks of docs/benchmarks.md"
	@echo "make docs   write the registry pages anew from the schema"
	@echo "make dist   pack the provider for release and for filesystem mirrors into dist/; signed with GPG_FINGERPRINT"
	@echo "make deny   check licences, sources and duplicates of dependencies"
	@echo "make fuzz   throw bytes at every parser; SECONDS=600 for each, TARGET=zoom_report for one, SEED=7 for the same again"
	@echo "make fuzz-api  throw requests at a real engine with schemathesis (needs PyPI); EXAMPLES=1000 for each operation"

need:
	@.ci/need

demo: need
	cargo build --locked --release -p zoom-log-engine -p terraform-provider-zoom --bins
	cargo build --locked --release -p e2e --bin demo
	@target_dir=$$(.ci/target-dir); "$$target_dir/release/demo"

test: need
	.ci/check

test-matrix: need
	.ci/matrix $(VERSIONS)

sim:
	@# By itself: the engine that users run is built without the crash points that the simulation needs.
	cargo build --locked --release -p e2e --bin simulate
	@target_dir=$$(.ci/target-dir); "$$target_dir/release/simulate"

soak: need
	cargo build --locked --release -p zoom-log-engine --bins
	cargo build --locked --release -p e2e --bin fleet
	@target_dir=$$(.ci/target-dir); "$$target_dir/release/fleet" --seed "$${SEED:-1}"

bench: need
	cargo build --locked --release -p zoom-log-engine -p terraform-provider-zoom --bins
	cargo build --locked --release -p e2e --bin bench --bin zoom-sim --bin terraform-provider-floor
	@target_dir=$$(.ci/target-dir); "$$target_dir/release/bench"

docs: need
	cargo build --locked -p terraform-provider-zoom
	@target_dir=$$(.ci/target-dir); "$$target_dir/debug/terraform-provider-zoom" docs --examples examples --out docs

dist: need
	@.ci/dist

deny:
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny --config .deny.toml check bans licenses sources

fuzz:
	cargo build --locked --release -p e2e --bin fuzz
	@target_dir=$$(.ci/target-dir); "$$target_dir/release/fuzz"

fuzz-api:
	cargo build --locked -p zoom-log-engine --bins
	@.ci/fuzz-api
