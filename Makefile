# `make demo` and `make test` work as the first command in a fresh clone.
#
#   make setup        system libraries, .venv, the package and its tools
#   make demo         simulate, reconstruct, show
#   make test         the tests            (make test ARGS="-k projector")
#   make upgrade      install the newest releases, test them, and renew constraints.txt
#   make lint         style, types, import contracts
#   make check-kernels  the kernels under oclgrind, which sees invalid accesses and data races
#   make bench        the benchmarks       (make bench ARGS="projector")
#   make docs         the documentation, into site/
#   make screenshots  the pictures of the documentation

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Releases that the tests have passed with. CONSTRAINTS= takes the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
PIP_INSTALL = $(BIN)/python -m pip install --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
# How many tests run at a time; 0 runs them in one process, as a debugger needs it.
JOBS ?= 2

export QT_API := pyqt6

.DEFAULT_GOAL := help
.PHONY: help setup demo test upgrade lint check-kernels bench docs screenshots clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml tools/system-libraries $(CONSTRAINTS)
	sh tools/system-libraries $(PYTHON)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(PIP_INSTALL) --editable ".[all]" --group dev
	touch $@

demo: setup
	$(BIN)/chemtomo demo $(ARGS)

test: setup
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadscope $(ARGS)

upgrade:
	sh tools/system-libraries $(PYTHON)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable ".[all]" --group dev
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadscope $(ARGS)
	$(BIN)/python tools/constraints.py > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(VENV)/.installed

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Oclgrind is not installed with the rest: it brings a compiler of its own. Where it cannot be, that is said.
check-kernels: setup
	sh tools/system-libraries $(PYTHON) oclgrind || true
	$(BIN)/python tools/check_kernels.py

# The peer that the benchmarks compare with is large, so only this target installs it.
$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(ARGS)

docs: setup
	$(BIN)/mkdocs build --strict

screenshots: setup
	$(BIN)/python docs/make_images.py $(ARGS)

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
