# Everything runs in .venv; each target installs what it needs and nothing else.
PYTHON ?= python3
BIN := .venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: install check docs test graphs test-app test-gpu test-pipewire test-vm bench gpu-report gpu-rehearsal demo clean

.venv/base: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[dev]'
	touch $@

install: .venv/base

# Formatting, lint, types, which package may import which, and the documentation.
check: .venv/dev docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# The documentation as a site, in site/. A broken link is an error.
docs: .venv/dev
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: .venv/dev
	$(BIN)/python -m pytest

# Retraces the ONNX graphs in engines/ after a change to a network's module or to the steps of the
# full frame on a GPU; weights and scores stay as they are.
graphs: .venv/dev
	$(BIN)/python -m training.export.shipped_graphs

# The page in Debian's Chromium, and axe-core's rules for accessible pages, which ship with nothing.
AXE := 4.14.1

test-app: .venv/dev
	command -v chromium >/dev/null || { \
		$(SUDO) apt-get update && $(SUDO) apt-get install --yes --no-install-recommends chromium; }
	command -v npm >/dev/null || $(SUDO) apt-get install --yes --no-install-recommends npm
	npm install --prefix .venv/axe --no-save --no-fund --no-audit axe-core@$(AXE)
	VIDBG_REQUIRE=app $(BIN)/python -m pytest -m app

# The outputs through PipeWire, RTMP and SRT with the real programs, which it installs on Debian and
# Ubuntu. Everything stays on this machine.
PIPEWIRE_PACKAGES := pipewire pipewire-bin wireplumber dbus gstreamer1.0-tools \
	gstreamer1.0-plugins-base gstreamer1.0-pipewire ffmpeg

test-pipewire: .venv/dev
	dpkg -s $(PIPEWIRE_PACKAGES) >/dev/null 2>&1 || { \
		$(SUDO) apt-get update && \
		$(SUDO) apt-get install --yes --no-install-recommends $(PIPEWIRE_PACKAGES); }
	VIDBG_REQUIRE=pipewire $(BIN)/python -m pytest -m pipewire

# Boots Debian's kernel with a camera and a virtual camera in qemu, and runs vidbg there.
test-vm: .venv/dev
	PYTHONPATH=tests $(BIN)/python -m vm.prepare
	VIDBG_REQUIRE=vm $(BIN)/python -m pytest -m vm tests/test_vm.py

# On a machine with an NVIDIA GPU: the tests that want one, and what networks and frames do there,
# in gpu-report/.
test-gpu: .venv/dev
	VIDBG_REQUIRE=gpu $(BIN)/python -m pytest -m gpu

gpu-report: .venv/dev
	$(BIN)/python -m tools.gpu.report --out gpu-report

# Here: all that a GPU machine without a network would be told to do, with only the packages that it
# has, up to where the card is asked for. See tools/gpu/README.md.
gpu-rehearsal: .venv/dev
	$(BIN)/python -m tools.gpu rehearse
	$(BIN)/python -m tools.gpu rehearse --plan full

bench: .venv/base
	$(BIN)/vidbg bench

# A sample clip made of a public-domain portrait, then the same clip on other backgrounds, in demo/.
demo: .venv/base
	$(PIP) --editable '.[demo]'
	$(BIN)/vidbg demo demo

clean:
	rm -rf .venv demo gpu-report runs dist build site
