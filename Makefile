# Everything happens in .venv, with the versions and hashes of requirements*.lock. `make help` lists the commands.

VENV ?= .venv
# The newest Python that the project is tested on, or PYTHON=/path/to/python.
PYTHON ?=
ARGS ?=

PY := $(VENV)/bin/python
RUN := $(VENV)/.ready-to-run
DEV := $(VENV)/.ready-to-develop
UV := uv==0.13.9
COMPILE := $(VENV)/bin/uv pip compile pyproject.toml --group build --quiet --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: run test faults soak lint format types lock bench parts pictures setup clean help

run: $(RUN)  ## train the embedded digits network and show it live (ARGS="--set groups.h1.size=64")
	@$(PY) -m neurond run digits $(ARGS)

test: $(DEV)  ## run the tests (ARGS=tests/unit)
	@$(PY) -m pytest $(ARGS)

# An empty expression takes the place of the one in pyproject.toml, which leaves the long tests out.
faults: $(DEV)  ## run the fault suite in full: hundreds of seeds, a million frames, kills of real processes (many minutes)
	@$(PY) -m pytest tests/fault -m "" $(ARGS)

soak: $(DEV)  ## flood a network for 10 minutes while its processes are killed and stopped (ARGS="--for 60")
	@$(PY) -m tests.fault.soak $(ARGS)

lint: $(DEV)  ## check style, format and which package imports which
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(VENV)/bin/lint-imports --no-cache

format: $(DEV)  ## lay the code out and repair what can be repaired
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

types: $(DEV)  ## check the types
	@$(PY) -m mypy

bench: $(DEV)  ## measure accuracy, savings, throughput, start and memory (many minutes)
	@$(PY) -m tests.bench $(ARGS)

parts: $(DEV)  ## time the small parts of a hop, each alone (ten seconds)
	@$(PY) -m pytest tests/bench --benchmark-enable --benchmark-columns=min,median,iqr,rounds $(ARGS)

pictures: $(DEV)  ## take the pictures of the console in docs/ anew (ten seconds)
	@$(PY) -m tests.pictures

setup: $(DEV)  ## make the virtual environment, and nothing else

lock: $(PY)  ## write requirements*.lock anew (ARGS=--upgrade for the newest versions)
	@$(PY) -m pip install --quiet --disable-pip-version-check $(UV)
	@$(COMPILE) --output-file requirements.lock --extra metrics --extra console $(ARGS)
	@$(COMPILE) --output-file requirements-dev.lock --extra metrics --extra console --extra experiments --extra tensorboard --extra web --extra dev --constraint requirements.lock $(ARGS)

clean:  ## remove the virtual environments, builds and caches; runs/ stays
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find broker monitor neurond topology tests -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-8s %s\n", $$1, $$2 }'

# A command that does not start, or is too old, or has no venv module (Debian splits it off) is passed over.
# The loop covers pyenv's shims, which exist for versions that they then refuse to run.
$(PY):
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$("$$python" -V)" >&2; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "neurond needs Python 3.11 or newer with its venv module (on Debian: apt install python3-venv)," \
		"or PYTHON=/path/to/python" >&2; \
	exit 1

# The locks hold setuptools too, so the package itself is installed with no index and no second environment.
$(RUN): requirements.lock pyproject.toml | $(PY)
	@echo "installing the locked versions into $(VENV)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	@echo "installing what the tests need into $(VENV)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@
