# install, fly, test, check, verify, bench: each installs first what it needs.
PYTHON ?= python3.11
SEED ?=
ARGS ?=
BARRIER_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS := .venv/.peers

.PHONY: install fly test check verify bench lock

install: $(INSTALLED)

# Made again whenever the locked set or the metadata changes; see scripts/install.sh.
$(INSTALLED): requirements.txt pyproject.toml scripts/install.sh
	@PYTHON="$(PYTHON)" sh scripts/install.sh

# Flies the shipped pilot through an unseen world in PyBullet; SEED=n for another world.
fly: $(INSTALLED)
	@$(BIN)/python scripts/fly.py $(if $(SEED),--seed $(SEED)) $(ARGS)

# Two workers, a file each: half the wait, and memory for two.
test: $(INSTALLED)
	@$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_house_notebooks.py

# Long safety campaigns: the barrier library on its own (BARRIER_ARGS), a pilot (ARGS), long tests.
verify: $(INSTALLED)
	@status=0; $(BIN)/python scripts/verify_barrier.py $(BARRIER_ARGS) || status=1; \
	$(BIN)/python scripts/verify.py $(ARGS) || status=1; \
	XLA_FLAGS= $(BIN)/pytest -q -m long || status=1; exit $$status

# Adds the peers to .venv, as far as they can be had; see scripts/install_peers.sh.
$(PEERS): $(INSTALLED) requirements-bench.txt scripts/install_peers.sh
	@sh scripts/install_peers.sh

# Ours and its peers side by side.
bench: $(PEERS)
	@set -e; for script in scripts/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

# Writes the locked sets anew from pyproject.toml, keeping the versions they already hold; needs
# uv, and for the benches' peers torch's CPU build where uv looks for wheels (UV_FIND_LINKS).
COMPILE := uv pip compile pyproject.toml --quiet --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"
lock:
	@$(COMPILE) --extra sim --extra liquid --extra dev --universal --output-file requirements.txt
	@$(COMPILE) --extra bench --constraint requirements.txt \
	  --python-platform x86_64-manylinux_2_28 --output-file requirements-bench.txt
