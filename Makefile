# One command for each task. Set-up is a file target: it runs again when the lock or the project changes.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME ?= data/demo
# Test workers; the suite is sized for two cores.
WORKERS ?= 2
# A quarter of what a small run does is to ask for memory; Debian's libjemalloc2 answers faster, and tests run without it.
JEMALLOC := $(firstword $(wildcard /usr/lib/*/libjemalloc.so.2))
# Without bytecode every worker compiles every test again, ten seconds each.
PYTEST := $(if $(JEMALLOC),LD_PRELOAD=$(JEMALLOC)) PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo ui test test-ci test-postgresql test-history test-engines test-all lint dbt-docs format bench bench-all lock sbom audit clean
.DEFAULT_GOAL := help

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## virtual environment from the hashed lock of developers, bytecode compiled, dbt project parsed

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib zentra_pipeline
	$(BIN)/python -c "from zentra_pipeline.reconcile.dbt_project import statements; statements()"
	touch $@

demo: setup  ## the shipped stories end to end, into data/demo
	$(BIN)/zentra demo --home $(DEMO_HOME)

ui: setup  ## Dagster's UI on the demo's home, http://127.0.0.1:3000
	PYTHONWARNINGS='ignore:Function `dev_command` is superseded' \
	ZENTRA_HOME=$(abspath $(DEMO_HOME)) DAGSTER_HOME=$(abspath $(DEMO_HOME))/dagster $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

test: setup  ## every test but the slow ones and those of CI
	$(PYTEST) -m "not slow and not ci"

test-ci: setup  ## the tests of CI: kills, races, damage, long histories, servers, a browser, Dagster, simulated worlds
	$(PYTEST) -m "ci and not slow"

test-postgresql: setup  ## the tests marked on_postgresql, with every store in PostgreSQL
	ZENTRA_TEST_STORES=postgresql ZENTRA_REQUIRE_POSTGRES=1 \
	$(PYTEST) -m "on_postgresql and not slow"

test-history: setup  ## scenarios and cases, every run held to what it would say had it read all of the past
	ZENTRA_TEST_WHOLE_HISTORY=1 $(PYTEST) tests/scenarios tests/cases

test-engines: setup  ## scenarios, cases and simulated worlds, every run made on Sail too and held to the same bytes
	ZENTRA_TEST_ENGINES=1 $(PYTEST) -m "slow or not slow" tests/scenarios tests/cases tests/simulation

test-all: setup  ## the slow ones too
	ZENTRA_FUZZ_EXAMPLES=100 $(PYTEST) -m "slow or not slow"

lint: setup  ## ruff, mypy, the layers of the package, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/sqlfluff lint dbt_project/models dbt_project/tests zentra_pipeline

dbt-docs: setup  ## dbt's documentation with its lineage as one page, dbt_project/target/docs/static_index.html; needs no network
	$(BIN)/python -m tests.support.dbt_docs dbt_project/target/docs

format: setup  ## let ruff and sqlfluff lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## speed against a bare DuckDB process
	$(BIN)/python -m benchmarks.bench --sizes 100000,1000000

bench-all: setup  ## the same with ten million movements, and one behind 30 windows; needs a large machine
	$(BIN)/python -m benchmarks.bench --sizes 100000,1000000,10000000
	$(BIN)/python -m benchmarks.history

lock:  ## remake both locks after changing pyproject.toml (needs uv): what runs, extras too, and what developers have beside it
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-emit-index-url --generate-hashes --quiet --output-file requirements.lock
	uv pip compile pyproject.toml --group dev --all-extras --python-version 3.11 --no-emit-index-url --generate-hashes --quiet --constraint requirements.lock --output-file requirements-dev.lock

sbom: setup  ## build/sbom.json: what a running Zentra consists of (CycloneDX), from requirements.lock; needs no network
	mkdir -p build
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application --of JSON --sv 1.6 --output-reproducible --output-file build/sbom.json

audit: setup  ## known vulnerabilities of what runs; asks the vulnerability service of a package index, so it needs a network
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.lock

clean:  ## remove what set-up, demo and tests made
	rm -rf $(VENV) $(DEMO_HOME) dbt_project/target dbt_project/logs logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
