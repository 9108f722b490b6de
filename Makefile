# make demo   the whole pipeline on procedural worlds, in minutes, without a GPU; report in demo/report.html
# make test   the test suite
# make docs   the documentation as a site, build/site/index.html; a warning stops it
# make lint   formatter, linter, type checker, import rule, spelling
# Each makes .venv first when it is not there.  PYTHON=python3.12 chooses another interpreter, OUT=dir the demo's folder.

PYTHON ?= python3
OUT ?= demo
VENV := .venv
BIN := $(VENV)/bin
# The wheel of torch is named exactly, and first: a range, or a package that depends on torch, would choose its own build.
TORCH := $(shell grep '^torch==' requirements.lock)
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet
# Python 3.10 is older than some of the pinned releases; there the tested ranges of pyproject.toml decide.
LOCKED = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'

.PHONY: demo test docs lint clean

demo: $(VENV)/.demo
	$(BIN)/stereodistill demo --out $(OUT)

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/codespell

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	    || { echo "stereodistill needs Python 3.10 or later as '$(PYTHON)'; name one: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	    || { echo "could not make $(VENV): on Debian and Ubuntu the package python3-venv is needed" >&2; exit 1; }
	touch $@

$(VENV)/.demo: $(VENV)/.python requirements.lock pyproject.toml
	@echo "installing into $(VENV) (once, a few minutes) ..."
	$(PIP) --constraint requirements.lock $(TORCH) || $(PIP) $(TORCH)
	if $(LOCKED); then $(PIP) -r requirements.lock && $(PIP) --no-deps --no-build-isolation -e .; else $(PIP) -e '.[export]'; fi
	touch $@

$(VENV)/.test: $(VENV)/.demo requirements-dev.lock
	if $(LOCKED); then $(PIP) -r requirements-dev.lock; else $(PIP) -e '.[dev]'; fi
	touch $@
