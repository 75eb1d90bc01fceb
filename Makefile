# `make demo` and `make test` work as the first command in a fresh clone.
#
#   make setup        system libraries, .venv, the package and its tools
#   make demo         simulate, reconstruct, show
#   make test         the tests            (make test ARGS="-k projector")
#   make lint         style, types, import contracts
#   make bench        the benchmarks       (make bench ARGS="projector")
#   make docs         the documentation, into site/
#   make screenshots  the pictures of the documentation

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

export QT_API := pyqt6

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench docs screenshots clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml tools/system-libraries
	sh tools/system-libraries $(PYTHON)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	touch $@

demo: setup
	$(BIN)/chemtomo demo $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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
