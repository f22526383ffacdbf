# Everything runs in .venv, made once from requirements.lock (every package pinned by hash) and remade when the lock or
# pyproject.toml changes. `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
DIST := dist
STAMP := .venv/.installed
LAB := .venv/etc/jupyter/labconfig/page_config.json
LOCK_OPTIONS := --group dev --extra dask --extra pkcs11 --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help demo lab test lint bench capacity faults mutants schema lock dist sbom audit clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## qualify the embedded account and leave complete records in outputs/
	@$(BIN)/trailkit demo

lab: $(LAB) ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

test: $(STAMP) ## run the whole test suite
	@$(BIN)/pytest -n auto $(PYTEST_OPTIONS)

lint: $(STAMP) ## check style, format, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## measure speed and memory
	@$(BIN)/python tests/bench.py
	@$(BIN)/python tests/bench_integrity.py
	@$(BIN)/python tests/bench_verify.py
	@$(BIN)/python tests/bench_render.py
	@$(BIN)/python tests/bench_index.py
	@$(BIN)/python tests/bench_review.py
	@$(BIN)/python tests/bench_rounds.py

capacity: $(STAMP) ## measure what runs ask and cost, simulate large rounds, and print the tables of docs/scale.md
	@$(BIN)/python tests/capacity.py

faults: $(STAMP) ## interrupt whatever writes, at every step and at many moments
	@$(BIN)/python tests/faults.py

mutants: $(STAMP) ## change checks and digests in one place at a time, and see that a test fails
	@nice -n 19 $(BIN)/python tests/mutants.py run --max-children 2

schema: $(STAMP) ## write parameters/parameters.schema.json from the model
	@$(BIN)/trailkit schema parameters > parameters/parameters.schema.json

lock: $(STAMP) ## resolve the dependencies anew and write requirements.lock
	@sed '/^[^#]/,$$d' requirements.lock > requirements.lock.new
	@$(BIN)/uv pip compile --quiet --upgrade $(LOCK_OPTIONS) pyproject.toml >> requirements.lock.new
	@mv requirements.lock.new requirements.lock

# One moment for everything in a release, the commit's: the same commit gives the same bytes.
dist sbom: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)

dist: $(STAMP) ## build wheel, source distribution and bill of materials, the same bytes for the same commit
	@[ -z "$$(git status --porcelain)" ] || { echo "What is not committed would be in the build: commit it first, or stash it" >&2; exit 1; }
	@rm -rf $(DIST)
	@$(BIN)/python -m hatchling build --directory $(DIST)
	@$(MAKE) --no-print-directory sbom
	@cp requirements.lock $(DIST)
	@cd $(DIST) && sha256sum -- * > SHA256SUMS

sbom: $(STAMP) ## write the bill of materials of requirements.lock, CycloneDX 1.6, validated
	@mkdir -p $(DIST)
	@$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --spec-version 1.6 --validate \
		--output-reproducible --output-file $(DIST)/trailkit.cdx.json requirements.lock

audit: $(STAMP) ## ask for known vulnerabilities of requirements.lock; needs the network
	@$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.lock

clean: ## remove .venv and caches; records in outputs/ stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist requirements.lock.new mutants
	@find kit tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is the last thing made, so an install that broke off is done again.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: sudo apt-get install python3, or make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "Python's venv module is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@[ "$$(uname)" != Linux ] || $(PYTHON) -c 'from ctypes import CDLL; [CDLL(f"lib{name}.so.0") for name in ("pango-1.0", "pangoft2-1.0", "harfbuzz-subset")]' 2> /dev/null || \
		echo "Pango is missing, so records have no PDF: sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0" >&2
	@echo "Installing into .venv (once; takes a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# JupyterLab asks whether it may fetch the news of its makers: here it may not, and does not ask.
$(LAB): $(STAMP)
	@$(BIN)/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements 2> /dev/null
	@touch $@
