PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long test-peers test-versions fuzz lint clean

demo: $(VENV)/ready-demo  ## the main job, end to end, against the local sandbox
	$(BIN)/python examples/quickstart.py

test: $(VENV)/ready-dev  ## the suite, with branch coverage
	$(BIN)/pytest -n 2 --cov --cov-report=term

test-long: $(VENV)/ready-dev  ## the whole proof of reliability at its full size, with its figures: about an hour
	$(BIN)/pytest -m 'not peers' --timeout 900 tests/reliability --figures build/reliability.json
	$(MAKE) fuzz

test-peers: $(VENV)/ready-dev  ## what needs other packages' environments
	$(BIN)/pytest -m peers

test-versions: $(VENV)/ready-dev  ## the suite on the oldest and the newest allowed versions of the dependencies
	$(BIN)/python tests/versions.py oldest
	$(BIN)/python tests/versions.py newest

fuzz: $(VENV)/ready-dev  ## every fuzz target, a minute each
	for target in framer failures decode stream_events; do \
		$(BIN)/python fuzz/fuzz_$$target.py -max_total_time=60 fuzz/corpus/$$target || exit 1; \
	done

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=tests $(BIN)/mypy indoxrouter indoxRouter.py tests examples benchmarks fuzz

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist demo-output

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "indoxrouter needs Python 3.11 or newer; try: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready-demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	@touch $@

$(VENV)/ready-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/ready-demo
