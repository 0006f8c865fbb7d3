# Every target calls what it needs first. With uv on the path it is used; otherwise pip brings it into .venv.
VENV   := .venv
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
UV     := $(shell command -v uv 2>/dev/null)
ARGS   ?=

.PHONY: setup servers demo demo-agents test mutations tables test-cluster test-compose verify bench bench-cluster docs lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
ifeq ($(UV),)
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps -e .
else
	test -x $(PYTHON) || $(UV) venv --quiet --python '>=3.11' $(VENV)
	$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(PYTHON) --no-deps -e .
endif
	touch $@

servers: setup  ## the servers of a cluster, built into the user's cache folder; ARGS="--only NAME"
	$(VENV)/bin/relm servers build $(ARGS)

demo: setup  ## the permit log through a real node; ARGS=--once ends by itself
	$(VENV)/bin/relm demo $(ARGS)

demo-agents: setup  ## three agents at an incident, without a network; ARGS=--once ends by itself
	$(VENV)/bin/relm demo --agents $(ARGS)

test: setup  ## the suite but for what needs a machine of its own; builds the servers that it can, once
	@echo "left out: whole clusters (make test-cluster) and containers (make test-compose)"
	@test -n "$$RELM_REQUIRE_CLUSTER" || ! command -v go >/dev/null || $(VENV)/bin/relm servers build >/dev/null \
	  || echo "servers: not all could be built, so tests that need them are left out"
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not whole_cluster" $(ARGS)

mutations: setup  ## every law of the constraint layer broken 200 times in the permit log: some five minutes of CPU
	$(PYTHON) -m tests.mutations $(ARGS)

tables: setup  ## what follows from kernel/lifecycle.toml: kernel/transitions.py, docs/lifecycle.md, triggers of the store
	$(PYTHON) -m tables $(ARGS)

test-cluster: setup  ## whole clusters of real processes, killed, frozen and restarted: some fifteen minutes
	$(VENV)/bin/relm servers build
	RELM_REQUIRE_CLUSTER=1 $(PYTHON) -m pytest tests/cluster -s -m whole_cluster $(ARGS)

test-compose: setup  ## the cluster in containers, in a Docker engine of its own: minutes, and needs root
	RELM_TEST_COMPOSE=1 $(PYTHON) -m pytest tests/compose -s $(ARGS)

verify: setup  ## format, lint, types, layers, tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports
	$(MAKE) test

bench: setup  ## workload W against the raw floor, in one run
	$(PYTHON) -m bench $(ARGS)

bench-control: setup  ## how soon a cancelled thread is fenced: idle, under load, and at five times what a node sustains
	$(PYTHON) -m bench.control $(ARGS)

bench-cluster: setup  ## workload W on three nodes: settled steps/s, latency, who spends the CPU; on an idle machine
	$(VENV)/bin/relm servers build
	$(PYTHON) -m bench.cluster $(ARGS)

docs: setup  ## the documentation site, into site/
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

lock:  ## resolve the dependencies anew
	uv pip compile --quiet --universal --generate-hashes --no-header --group dev --extra cluster --extra models pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) site dist build .pytest_cache .ruff_cache .hypothesis .relm
