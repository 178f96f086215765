# install, fly, test, check, verify, bench: each installs first what it needs.
PYTHON ?= python3.11
SEED ?=
ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed

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

# Long safety campaigns.
verify: $(INSTALLED)
	@$(BIN)/python scripts/verify.py $(ARGS)

# Ours and its peers side by side.
bench: $(INSTALLED)
	@set -e; for script in scripts/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

# Writes the locked set anew from pyproject.toml, keeping the versions it already holds; needs uv.
lock:
	@uv pip compile pyproject.toml --quiet --extra sim --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	  --custom-compile-command "make lock" --output-file requirements.txt
