# The front door. Everything here works on a fresh machine with Rust and make.

.PHONY: help check test oracle lint doc review pin bench soak mutants

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

check: ## check every fixture against every law, and print the table; then the race at the real size
	cargo run --release --quiet -- check
	cargo run --release --quiet -- check --pages 512 \
		v3.7/munlock_vs_split v3.9/munlock_vs_split v3.14/munlock_vs_split

test: ## run every test, but for the comparison with stateright
	cargo test --release --workspace --exclude mlock-bench

oracle: ## compare the search with stateright
	cargo test --release -p mlock-bench

lint: ## formatting, clippy, documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

doc: ## build the book and say where it is
	cargo doc --workspace --no-deps
	@echo "open target/doc/mlock_spec/index.html"

review: ## take over changed snapshots, to be read as a diff
	INSTA_UPDATE=always INSTA_FORCE_PASS=1 cargo test --release -p mlock-refinement
	git diff --stat

pin: ## write the sizes of the searched spaces into the fixtures
	cargo run --release --quiet -- pin

bench: ## the search beside stateright, in one table
	cargo run --release --quiet -p mlock-bench

soak: ## look at random scenarios for SOAK_SECONDS (an hour), and hunt every known bug unaided
	SOAK_SECONDS=$${SOAK_SECONDS:-3600} cargo test --release -p mlock-refinement --test generated -- --nocapture

mutants: ## break the code of the specification, the judge, the relation and the search: who notices?
	cargo mutants --version >/dev/null 2>&1 || cargo install cargo-mutants --locked
	FAIL_FAST=1 cargo mutants --workspace
