# Everything runs in .venv; each target installs what it needs and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: install check test bench demo clean

.venv/base: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[dev]'
	touch $@

install: .venv/base

# Formatting, lint, types, and that rooms import only what the design lets them.
check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: .venv/dev
	$(BIN)/python -m pytest

bench: .venv/base
	$(BIN)/vidbg bench

# A sample clip made of a public-domain portrait, then the same clip on other backgrounds, in demo/.
demo: .venv/base
	$(PIP) --editable '.[demo]'
	$(BIN)/vidbg demo demo

clean:
	rm -rf .venv demo runs dist build
