PYTHON ?= python3
BIN := .venv/bin
comma := ,
MADE := .venv/.made
SERVICES := $(patsubst services/%/pyproject.toml,%,$(wildcard services/*/pyproject.toml))
PROJECTS := pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml))

# Where an image forbids Python to keep what it compiled, every program we start would compile all of it anew:
# `setup` compiles what ours import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test soak lint check lock

# Said in one line, before anything is made: uv would speak of requirements that have no solution.
OLDEST := 3.11
NEEDED := import sys; found = "%d.%d" % sys.version_info[:2]; ours = sys.version_info >= ($(subst .,$(comma) ,$(OLDEST))); \
	sys.exit(0 if ours else "needs Python $(OLDEST), this is %s: %s" % (found, sys.executable))

setup: $(MADE) ## make .venv, with all that the suite and its tests need

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand --tabs=8

# uv comes from the lock too: pip installs that one pin, by its hash, and uv does the rest.
$(BIN)/uv:
	@$(PYTHON) -c '$(NEEDED)'
	$(PYTHON) -m venv .venv
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.lock.txt

$(MADE): requirements.lock $(PROJECTS) | $(BIN)/uv
	@$(BIN)/python -c '$(NEEDED)'
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes --requirement requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix --editable ,$(MEMBERS))
	$(BIN)/python -c 'import cli.main, sdk$(patsubst %,; import %.__main__,$(SERVICES))'
	touch $@

run: setup ## start the whole suite on this machine, until Ctrl-C
	$(BIN)/p2p up

# Three at a time on two cores: some of the time of a test is waiting, and with a fourth more of them were late.
test: setup ## run all tests, on real servers
	$(BIN)/pytest --numprocesses 3 --dist loadgroup --no-loadscope-reorder --durations 60 --durations-min 5

# Twenty times as many examples for each law.
soak: setup ## run all tests, with twenty times the examples of each law
	SOAK=20 PATIENCE=10 $(BIN)/pytest --numprocesses 3 --dist loadgroup --no-loadscope-reorder

lint: setup ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## lint, then the tests that need no servers
	$(BIN)/pytest --quiet -m "not servers"

# The pins already in the lock are kept; `make lock UPGRADE=--upgrade` renews them.
# Our own packages are left out: they are installed from the tree, and their paths are a machine's own.
lock: $(BIN)/uv ## renew requirements.lock; UPGRADE=--upgrade for newer releases too
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate \
		--quiet $(UPGRADE) --output-file requirements.lock
	sed -i '/^-e /d' requirements.lock
