# Everything a person or a machine does with this repository. `make` alone lists it.
#
# The only things needed beforehand are make and a Python with venv. What else is needed goes into
# .venv, pinned by hash in requirements-dev.lock; the stamp in there makes the next `make` instant.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
BENCH := $(VENV)/.complete-bench
NEWEST := .venv-newest
PIP_NEWEST := VIRTUAL_ENV=$(NEWEST) $(BIN)/uv pip
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url

# Tests wait for services more than they compute. A few files start fewer workers.
JOBS ?= 4

# Of the random schedules of `make chaos`; another seed is another schedule.
MINUTES ?= 5
ifndef SEED
SEED := $(shell date +%s)
endif

.DEFAULT_GOAL := help
MEASURE := $(BIN)/python -m benchmarks
SHORTER = $(if $(JSON),--json) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: help setup run demo unit check test test-newest chaos lint format lock \
	bench bench-ingest bench-learn \
	bench-freshness bench-serve bench-growth bench-quality kubernetes audit sbom container-check clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv

run: $(STAMP) ## Start both services, on nothing but files
	@exec $(BIN)/upnext run

demo: $(STAMP) ## Feed the running services a sample stream, and show what it teaches
	@exec $(BIN)/upnext demo

unit: $(STAMP) ## Run the tests that need no service: seconds (ARGS="-k name")
	@$(BIN)/pytest tests/unit $(ARGS)

check: lint unit ## Lint, then run the unit tests: before every commit

test: $(STAMP) $(if $(ARGS),,lint) ## Lint, then run every test (or only ARGS="-k name"; JOBS=1)
	@JOBS=$(JOBS) $(BIN)/pytest --numprocesses auto --dist loadgroup --no-loadscope-reorder $(ARGS)

test-newest: $(STAMP) ## Run the tests on newer releases than pyproject.toml allows (ARGS=tests/unit)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(NEWEST)
	@$(PIP_NEWEST) sync --quiet --system-certs --require-hashes requirements-dev.lock
	@$(PIP_NEWEST) install --quiet --system-certs --upgrade 'uvicorn[standard]' aio-pika aiormq pamqp
	@$(PIP_NEWEST) install --quiet --no-build-isolation --no-deps --offline --editable .
	@$(PIP_NEWEST) freeze | grep -E '^(uvicorn|aio-pika|aiormq|pamqp)='
	@$(MAKE) --no-print-directory test BIN=$(NEWEST)/bin

chaos: $(STAMP) ## Break every part under load, and count what was lost (MINUTES=5 SEED=7)
	@echo "Random schedules for $(MINUTES) minutes, SEED=$(SEED)"
	@# With ARGS it is not the whole table, which the page is to have.
	@CHAOS=1 MINUTES=$(MINUTES) SEED=$(SEED) $(if $(ARGS),,CHAOS_PAGE=docs/reliability.md) \
		$(BIN)/pytest tests/faults --numprocesses 2 --dist loadfile --timeout=900 $(ARGS)

lint: $(STAMP) ## Check style, types and architecture
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Rewrite the code in the one style there is
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: $(STAMP) ## Pin the dependencies of pyproject.toml (ARGS=--upgrade for newer ones)
	@$(LOCK) $(ARGS) pyproject.toml --output-file requirements.lock
	@$(LOCK) $(ARGS) pyproject.toml --output-file requirements-dev.lock --group dev
	@$(LOCK) $(ARGS) pyproject.toml --output-file requirements-bench.lock --group bench
	@$(LOCK) $(ARGS) --output-file requirements-clients.lock --group clients

bench: $(BENCH) ## Measure everything below but quality (JSON=1, ROUNDS=1, SECONDS=1; half an hour)
	@exec $(MEASURE).everything $(SHORTER) $(ARGS)

bench-ingest: $(BENCH) ## How many watches a second are taken, beside other ways to write it
	@exec $(MEASURE).ingest $(SHORTER) $(ARGS)

bench-learn: $(BENCH) ## How many watches a second are learned from a full queue
	@exec $(MEASURE).learn $(SHORTER) $(ARGS)

bench-freshness: $(BENCH) ## How long until a watch is known to the recommendations, under load
	@exec $(MEASURE).freshness $(SHORTER) $(ARGS)

bench-serve: $(BENCH) ## How many recommendations a second are answered, for few and many users
	@exec $(MEASURE).serve $(SHORTER) $(ARGS)

bench-growth: $(BENCH) ## What more and more stored watches change, and memory over a soak
	@exec $(MEASURE).growth $(SHORTER) $(ARGS)

bench-quality: $(BENCH) ## Compare recommenders on your data (DATA=file.csv, JSON=1, ARGS=--robots)
	@test -n "$(DATA)" || { echo "Say on which watches: make bench-quality DATA=file.csv" >&2; exit 2; }
	@exec $(BIN)/python -m benchmarks.quality "$(DATA)" $(if $(JSON),--json) $(ARGS)

kubernetes: ## Render the Kubernetes overlays (needs kubectl or kustomize)
	@tools/render_kubernetes.sh

audit: $(STAMP) ## Look for known weaknesses of the pinned dependencies (needs the network)
	@$(BIN)/uv tool run pip-audit --strict --require-hashes --disable-pip \
		--requirement requirements.lock

sbom: $(STAMP) ## Write what the image is made of, as CycloneDX, to dist/sbom.json
	@mkdir -p dist
	@$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements \
		--pyproject pyproject.toml --output-file dist/sbom.json requirements.lock

container-check: ## Build the image, and run the compose file without Docker (Debian, as root)
	@tools/container_check.sh

clean: ## Remove what can be made again; the data in var/ stays
	rm -rf $(VENV) $(NEWEST) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What only the benchmarks need comes on top.
$(BENCH): $(STAMP) requirements-bench.lock
	@$(PIP) --require-hashes --requirement requirements-bench.lock >&2
	@touch $@

# Set-up speaks on stderr only, so that a target's own output can be piped.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV), once" >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@# uv is several times faster than pip. Where it cannot be had, or cannot reach what pip reaches
	@# through its own configuration, pip does the same from the same hashes.
	@awk '/^uv==/ {on = 1; print; next} /^[^ ]/ {on = 0} on' requirements-dev.lock >$(VENV)/uv.lock
	@{ $(PIP) --require-hashes --requirement $(VENV)/uv.lock && \
		$(BIN)/uv pip sync --quiet --python $(BIN)/python --system-certs --compile-bytecode \
			--require-hashes requirements-dev.lock; } >&2 || { \
		echo "uv could not; pip goes on, and takes longer" >&2; \
		$(PIP) --require-hashes --requirement requirements-dev.lock >&2; }
	@# hatchling is installed already, by hash; nothing else is to be fetched.
	@$(PIP) --no-build-isolation --no-deps --no-index --editable . >&2
	@touch $@
