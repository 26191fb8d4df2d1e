# Two commands matter: `make serve` and `make test`. `make help` names the rest.
# Stamps in .venv keep a second run free of pip and of the network: they follow pyproject.toml and the sources.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
SDK := tests/browser/livekit/node_modules
SOURCES := $(shell find src -name '*.py')
PAGE := examples/conference/web
PAGE_SOURCES := $(shell find $(PAGE)/src -type f) $(addprefix $(PAGE)/,index.html package-lock.json tsconfig.json vite.config.ts)
BENCHMARKS := forward scale turns join plane srtp rtp data_channels
ACCEPTANCE := interop or browser or fuzz or soak

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.PHONY: help
help: ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

# --- what people run ----------------------------------------------------------------------------------------------

.PHONY: serve
serve: $(VENV)/.warm $(PAGE)/dist/index.html ## Start the conferencing node: open http://127.0.0.1:7880, and send its link.
	@exec $(BIN)/python -m examples.conference --dev

.PHONY: check
check: format-check lint types contract $(VENV)/.page-checked docs unit ## Format, lint, types, import contract and unit tests: under 5 minutes.

.PHONY: test
test: test-packages check fuzz acceptance ## Everything: check, fuzzing, other stacks, browsers: under 25 minutes.

.PHONY: soak
soak: test-packages $(VENV)/.dev $(VENV)/.warm ## The long cases, with memory and time measured.
	$(BIN)/pytest -m soak

.PHONY: differential
differential: test-packages $(VENV)/.dev $(VENV)/.warm ## The same session against LiveKit's own server (built by Go), and what differs.
	$(BIN)/python -m tests.interop.differential $(if $(RECORD),--record)

.PHONY: bench
bench: $(VENV)/.dev $(VENV)/.warm ## Every benchmark, quickly; JSON=FOLDER keeps their figures for benchmarks.compare.
	$(if $(JSON),mkdir -p $(JSON))
	for each in $(BENCHMARKS); do \
		$(BIN)/python -m benchmarks.bench_$$each --quick $(if $(JSON),--json $(JSON)/$$each.json) || exit 1; \
	done

.PHONY: rivals
rivals: $(VENV)/.dev ## The servers that the benchmarks compare with: LiveKit's, built by Go, Janus and aiortc.
	$(BIN)/python -m benchmarks.rivals

.PHONY: screenshots
screenshots: test-packages $(VENV)/.dev $(VENV)/.warm $(SDK)/.installed $(PAGE)/dist/index.html ## Pictures of the page, for docs/images.
	$(BIN)/python -m tests.browser.screenshots

.PHONY: format
format: $(VENV)/.dev ## Rewrite the code in the house's format and fix what lint can fix.
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

.PHONY: clean
clean: ## Remove what these targets made, the virtual environment included.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist site
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the parts of check and test ----------------------------------------------------------------------------------

.PHONY: format-check
format-check: $(VENV)/.dev ## Fail where the format is not the house's.
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(VENV)/.dev ## Ruff's rules.
	$(BIN)/ruff check

.PHONY: types
types: $(VENV)/.dev ## mypy --strict over src, tests, examples and benchmarks.
	$(BIN)/mypy --strict

.PHONY: contract
contract: $(VENV)/.dev ## Which floor may import which (pyproject.toml, [tool.importlinter]).
	$(BIN)/lint-imports

.PHONY: docs
docs: $(VENV)/.docs ## The documentation, into site/: a broken link fails.

.PHONY: unit
unit: unit-packages $(VENV)/.dev $(VENV)/.warm ## Tests that need neither a browser nor another stack.
	$(BIN)/pytest -m "not ($(ACCEPTANCE))"

.PHONY: fuzz
fuzz: $(VENV)/.dev $(VENV)/.warm ## Some seconds of seeded fuzzing, kernels compiled with bounds checks.
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m visiomedia warmup
	NUMBA_BOUNDSCHECK=1 $(BIN)/pytest -m fuzz

.PHONY: acceptance
acceptance: test-packages $(VENV)/.dev $(VENV)/.warm $(SDK)/.installed $(PAGE)/dist/index.html ## Browsers and other stacks.
	$(BIN)/pytest -m "interop or browser"

# --- what they stand on -------------------------------------------------------------------------------------------

.PHONY: unit-packages test-packages
unit-packages: ## System packages of the unit tests, installed where missing.
	@tools/system_packages.sh opus
test-packages: ## System packages of all tests, installed where missing.
	@tools/system_packages.sh opus iproute chromium firefox driver fonts npm

$(SDK)/.installed: tests/browser/livekit/package-lock.json
	npm ci --prefix tests/browser/livekit --ignore-scripts --no-audit --no-fund
	@touch $@

$(PAGE)/dist/index.html: $(PAGE_SOURCES) | $(VENV)/.run
	tools/page.sh $(VENV) build
	@touch $@

$(VENV)/.docs: mkdocs.yml $(shell find docs -type f) | $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@touch $@

$(VENV)/.page-checked: $(PAGE_SOURCES) | $(VENV)/.run
	tools/page.sh $(VENV) check
	@touch $@

$(BIN)/python:
	tools/virtual_environment.sh $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -e '.[http,codecs,livekit,node]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.run
	$(BIN)/python -m pip install -e '.[http,codecs,livekit,node]' --group dev
	@touch $@

$(VENV)/.warm: $(SOURCES) $(VENV)/.run
	$(BIN)/python -m visiomedia warmup
	@touch $@
