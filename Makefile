# Everything below builds its own environment in .venv: git, make and Python 3.11 or newer suffice.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first interpreter that is new enough and can make environments; or: make PYTHON=python3.13 …
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
endif

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --no-compile -qq
SOURCES := orchestrator tests benchmarks
# One more than cores: some tests wait for other processes, the others would take from each other.
WORKERS ?= 3
# What is compiled is kept: tests start many processes, and each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

# A stamp carries the checksum of what it was made from, so a changed lock makes a new one.
checksum = $(shell cat pyproject.toml $(1) | cksum | cut -d ' ' -f 1)
RUNTIME := $(VENV)/runtime-$(call checksum,requirements.lock)
DEV := $(VENV)/dev-$(call checksum,requirements-dev.lock)

.PHONY: help demo test lint suite style types format soak bench migration lock environment dev browser clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: environment ## Start a simulated cloud and the orchestrator over it, with a dashboard to look at
	@exec $(BIN)/orchestrator demo $(ARGS)

# Types and layers take one core a while: they are checked beside the tests, and told after them.
test: style browser ## Lint, types, layers and all tests, on SQLite and Postgres
	@$(BIN)/python -m tests.support.beside $(MAKE) --no-print-directory types -- \
		$(MAKE) --no-print-directory suite

# In a clean clone one process compiles the tests first, or all workers would, each for itself.
suite:
	@$(if $(wildcard tests/__pycache__),,$(BIN)/python -m pytest --collect-only -qq >/dev/null || :)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: style types ## Ruff, mypy and the import layers

style: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }

types: dev
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-logo

format: dev ## Format the code and repair what ruff can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

soak: dev ## Play random histories: make soak MINUTES=60, or SEED=… to play a failure again
	@$(if $(SEED),,$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m soak)
	@exec $(BIN)/python -m tests.simulator.soak $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(SEED),--seed $(SEED)) $(if $(HISTORIES),--histories $(HISTORIES)) \
		$(if $(CLOUD),--cloud $(CLOUD)) $(ARGS)

bench: dev ## Run the benchmarks; see benchmarks/README.md
	@for file in benchmarks/bench_*.py; do \
		echo "== $$file"; $(BIN)/python "$$file" $(ARGS) || exit 1; done

migration: dev ## Write the next migration from the tables: make migration MESSAGE="add a column"
	@$(BIN)/python -m orchestrator.migrations "$(MESSAGE)"
	@$(BIN)/ruff check --quiet --fix migrations && $(BIN)/ruff format --quiet migrations

lock: ## Renew both lock files; UPGRADE=1 takes the newest versions
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(PYTHON) -m venv "$$tools" && "$$tools/bin/python" -m pip install -qq uv && \
	compile() { "$$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) \
		--extra postgres pyproject.toml "$$@"; } && \
	compile --group dev --output-file requirements-dev.lock && \
	compile --group build --constraint requirements-dev.lock --output-file requirements.lock

# The development environment holds the runtime one, at the same versions.
environment: $(if $(wildcard $(DEV)),,$(RUNTIME))

dev: $(DEV)

$(RUNTIME): LOCK := requirements.lock
$(DEV): LOCK := requirements-dev.lock
$(RUNTIME) $(DEV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed \
	(Debian: apt-get install python3-venv). Name it with: make PYTHON=…"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || \
		{ rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); } || { rm -rf $(VENV); exit 1; }
	@echo "Installing $(LOCK) into $(VENV) …"
	@$(PIP) --require-hashes --requirement $(LOCK)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/runtime-* $(VENV)/dev-*
	@touch $@

# Tests of the dashboard need a browser. Without one, and without the right to install one, they
# are skipped and say so; in CI that is a failure.
browser: dev
	@$(BIN)/python -m tests.support.browser || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		echo "Installing chromium …" && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
			chromium >/dev/null; } || \
		echo "No browser found: tests of the dashboard will be skipped (install chromium)."

clean: ## Remove the environment, caches and build results
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
