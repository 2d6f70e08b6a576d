# `make demo` trains a small GPT on names and prints new ones; `make test` runs the whole suite.
# Both make .venv first and install what constraints.txt pins, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt

.PHONY: demo test fast lint types docs bench fuzz clean

demo: $(VENV)/.ready
	$(BIN)/hornbook train names
	@echo 'hornbook lies in $(BIN): . $(BIN)/activate'

# threads that wait for others leave the processor to other tests; a worker has the tests of a module
test: $(VENV)/.ready-dev
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n auto --dist worksteal

fast: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m fast

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

# into site/, lessons executed in full: some minutes. HORNBOOK_LESSONS=fast make docs: small settings
docs: $(VENV)/.ready-dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env -d build/doctrees docs site
	@echo 'site/index.html is the front page.'

bench: $(VENV)/.ready-dev
	$(BIN)/python benchmarks/autograd.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/targets.py names
	if [ -n "$$HORNBOOK_DATA" ]; then $(BIN)/python benchmarks/steps.py; fi

# torch first: what comes after it would otherwise choose its version
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("hornbook needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@echo 'Setting up $(VENV), once: a few minutes, most of them for PyTorch.'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable .
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo 'Installing what the tests need.'
	$(PIP) --editable '.[dev]'
	touch $@

# an hour by default: FUZZ=60 make fuzz; coverage-guided where atheris has a wheel for this Python
FUZZ ?= 3600
fuzz: $(VENV)/.ready-dev
	HORNBOOK_FUZZ=2000 $(BIN)/python -m pytest -n auto tests/fuzz
	$(PIP) 'atheris>=3'
	$(BIN)/python -m tests.fuzz.guided $(FUZZ)

clean:
	rm -rf $(VENV) dist build site docs/generated jupyter_execute .pytest_cache .mypy_cache .ruff_cache
