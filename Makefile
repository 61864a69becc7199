# Everything that needs doing, on a machine with Python 3.11 or newer and nothing else.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOWEST := .venv-lowest

# each process of the tests would compile all of it again
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-lowest soak celery browser bench check format clean

help:  ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | sort | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(INSTALLED)  ## Make .venv with the versions of constraints.txt; instant the second time

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	@echo "Setting up $(VENV) (the first time this downloads Airflow, about 180 packages)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## Run the example DAG with Airflow against the sandbox, and show the outcome of each of 2,000 orders
	$(BIN)/python -m airflow_provider_ecdp.demo

test: setup  ## Run the tests, on all cores
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal

test-fast: setup  ## Run the quick tests of the core, without Airflow
	$(BIN)/python -m pytest --numprocesses logical --dist worksteal --core --hypothesis-profile fast

test-lowest: $(LOWEST)/.installed  ## Run the tests of tests/lowest/selection.txt with the lowest versions of everything, on Airflow 3.1
	$(LOWEST)/bin/python -m pytest --numprocesses logical --dist worksteal --hypothesis-profile fast \
		$$(sed 's/ *#.*//' tests/lowest/selection.txt)

$(LOWEST)/.installed: pyproject.toml tests/lowest/constraints.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint tests/lowest/constraints.txt --editable '.[dev]'
	@touch $@

soak: setup  ## Run thousands of pushes with faults and kills; ECDP_SOAK_RUNS and ECDP_SOAK_SEED choose; then each law with 20 times the examples
	PYTHONPATH=tests/doubles $(BIN)/python tests/faults/soak.py
	test "$(ECDP_SOAK_RUNS)" = 1 || $(BIN)/python -m pytest --numprocesses logical --dist worksteal -m hypothesis --hypothesis-profile soak

celery: setup  ## Push a million orders from two Celery workers, and kill one; needs Postgres and Redis, and says how to get them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement tests/celery/requirements.txt
	$(BIN)/python tests/celery/celery_run.py

browser: setup  ## Install the wheel in an empty environment, and use Airflow's UI in Chromium up to a replay; says how to get Chromium
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement tests/browser/requirements.txt
	$(BIN)/python tests/browser/browser_run.py

bench: setup  ## Measure against the peers, and write docs/performance.md; half an hour; ECDP_BENCH=quick for a look
	$(BIN)/python tests/benchmarks/bench_run.py

check: setup  ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove what make has made
	rm -rf $(VENV) $(LOWEST) dist build .bench .browser .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
