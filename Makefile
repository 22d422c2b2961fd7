# Each target creates .venv and installs what it needs, once; the stamps in .venv say what is installed.
# TEXT="A dog runs." of `make run` is translated by the shipped model.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export ZOO_TEXT := $(value TEXT)

run_extras := tensorflow
test_extras := tensorflow,jax,test
test-all_extras := tensorflow,jax,torch,test
parity_extras := tensorflow,test,parity
bench_extras := tensorflow,torch,bench
lint_extras := lint
# Tests compile much and compute little: two processes, each with a file of tests at a time.
quick_xla := JAX_DISABLE_MOST_OPTIMIZATIONS=1
two := -n 2 --dist loadfile

.PHONY: run test test-all parity bench lint clean

run: $(VENV)/run.stamp
	$(BIN)/python -m apps.run $${ZOO_TEXT:+--text "$$ZOO_TEXT"}

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q $(two) -m "not slow" --durations=15
	KERAS_BACKEND=jax $(quick_xla) $(BIN)/python -m pytest -q $(two) -m "not slow" --durations=5 tests/layers tests/models tests/decoding

test-all: $(VENV)/test-all.stamp
	$(BIN)/python -m pytest -q $(two) --durations=15
	KERAS_BACKEND=jax $(quick_xla) $(BIN)/python -m pytest -q $(two) tests/layers tests/models tests/decoding
	KERAS_BACKEND=torch $(BIN)/python -m pytest -q $(two) tests/layers tests/models tests/decoding

parity: $(VENV)/parity.stamp
	$(BIN)/python -m pytest -v -m parity

bench: $(VENV)/bench.stamp
	$(BIN)/python -m apps.bench train
	$(BIN)/python -m apps.bench decode

lint: $(VENV)/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) build zoo.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/%.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what $* needs into $(VENV): some minutes, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$($*_extras)]"
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or later was found; name one: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
