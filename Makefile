# Needs Python 3.11 or later and make; everything else is installed into .venv* beside this file.
#
#   make demo                   the examples, offline, with the usage section that pytest prints
#   make test                   the suite on the latest releases
#   make test-langchain-tests   … on the releases that langchain-tests pins
#   make test-lowest            … on the lowest releases that pyproject.toml allows
#   make test-frameworks        the tests with litellm, instructor, pydantic-ai and openai-agents
#   make lint                   ruff, mypy, import-linter
#   make bench                  the benchmarks
#   make record                 the examples' cassettes again, from the emulator
#   make readme                 the output that the README shows, as it is now
#
# ARGS go to pytest: make test ARGS="-k budget"

PYTHON ?= $(or $(shell command -v python3.11),python3)
ARGS ?=
EXAMPLES := quickstart agent ci

# uv, which resolves in seconds and knows the lowest releases, comes from the index into each environment.
install = $(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --upgrade pip uv \
	&& $(1)/bin/uv pip install --quiet --python $(1)/bin/python --editable . $(2) && touch $@

.PHONY: demo test test-latest test-langchain-tests test-lowest test-frameworks lint bench record readme clean

# No test of the examples is asynchronous, and without a setting of its own pytest-asyncio would complain.
demo: .venv/installed
	set -e; for name in $(EXAMPLES); do .venv/bin/python -m pytest -p no:asyncio examples/$$name; done

test test-latest: .venv/installed
	.venv/bin/python -m pytest $(ARGS)

test-langchain-tests: .venv-langchain-tests/installed
	.venv-langchain-tests/bin/python -m pytest $(ARGS)

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest $(ARGS)

test-frameworks: .venv-frameworks/installed
	.venv-frameworks/bin/python -m pytest tests/test_raw_clients.py -k framework $(ARGS)

lint: .venv/installed
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: .venv/installed
	.venv/bin/python -m benchmarks

record: .venv/installed
	.venv/bin/python examples/record.py

readme: .venv/installed
	.venv/bin/python tests/test_readme.py

clean:
	rm -rf .venv .venv-langchain-tests .venv-lowest .venv-frameworks

.venv/installed: pyproject.toml
	$(call install,.venv,--group dev --upgrade)

.venv-langchain-tests/installed: pyproject.toml
	$(call install,.venv-langchain-tests,--group test --group providers "vcrpy>=8.2.1$(comma)<9" "syrupy>=5$(comma)<6")

.venv-lowest/installed: pyproject.toml
	$(call install,.venv-lowest,--group test --resolution lowest-direct)

.venv-frameworks/installed: pyproject.toml
	$(call install,.venv-frameworks,--group test --group frameworks)

comma := ,
