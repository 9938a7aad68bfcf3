# Every target makes what it needs: a fresh clone can begin with any of them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAGE := $(VENV)/.stage
READY := $(VENV)/.installed
SITE := $(VENV)/.site

.PHONY: help install demo ui pictures test site clients servers crash race fuzz bench growth ecs properties check lock clean
.DEFAULT_GOAL := help

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(READY)  ## Make .venv with the pinned packages, bytecode compiled

# Bytecode is compiled here, on every core: a machine that may not write it would otherwise compile every package at every start.
# pip says errors alone: its notices name paths and versions that nobody here can act on.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := $(BIN)/python -m pip install -qq --no-compile
COMPILE := @$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib crossaccount crossaccount_sandbox flows tasks || true

# What runs: the product and its sandbox.
$(STAGE): requirements-sandbox.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: '$(PYTHON)' is no Python 3.11 or newer; name one: make PYTHON=... $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "make: installing $$(grep -c == requirements-sandbox.lock) packages into $(VENV), once: usually one to three minutes ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r requirements-sandbox.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@echo "make: compiling their bytecode, once: usually half a minute ..." >&2
	$(COMPILE)
	@touch $@

# And what tests and checks it.
$(READY): $(STAGE) requirements.lock
	@echo "make: installing what tests and checks it, once: usually one to two minutes ..." >&2
	@$(PIP) --require-hashes -r requirements.lock
	$(COMPILE)
	@touch $@

# And what builds the documentation site, which no test needs.
$(SITE): $(READY) requirements-site.lock
	@echo "make: installing what builds the documentation site, once: usually half a minute ..." >&2
	@$(PIP) --require-hashes -r requirements-site.lock
	@touch $@

demo: $(STAGE)  ## Tell the story: refused, shared, deployed, proved, revoked (no AWS account needed)
	@$(BIN)/crossaccount demo

ui: $(STAGE)  ## Serve the product in a browser: sandbox, Prefect server, workers and deployments, until Ctrl-C
	@$(BIN)/crossaccount ui

pictures: $(READY)  ## Make the pictures of the documentation anew, in a browser (minutes; needs Chromium)
	$(BIN)/python -m tests.ui.pictures

# Bytecode is kept, also where a machine says otherwise: each process of a run would rewrite the assertions of every file anew.
# Tests wait for processes a third of their time: half as many workers again as there are processors.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) * 3 // 2)')
test: $(READY)  ## Run every test against the sandbox
	@echo "make: every test, on $(WORKERS) workers: usually ten to twenty minutes; one dot for each test ..." >&2
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

clients: $(READY)  ## Try the sandbox with real clients of AWS, each in an environment of its own, and print a table (minutes)
	$(BIN)/python tests/clients

servers: $(READY)  ## Record anew what real model servers answer, each from an environment of its own (half an hour; needs Java)
	$(BIN)/python tests/servers

growth: $(READY)  ## Lose hosts and servers in the middle of promotions, and try the oldest Prefect (an hour; says what it needs)
	@for each in postgres:postgresql redis-server:redis-server haproxy:haproxy; do \
		PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)" command -v $${each%:*} >/dev/null || \
		echo "make: no $${each%:*} here, and what needs it is skipped: apt-get install $${each#*:}" >&2; done
	$(BIN)/python -m pytest -q -m "growth or not growth" tests/growth

ecs: $(READY)  ## Run flow runs as ECS tasks by a worker of prefect-aws against the sandbox, and print who called what (minutes)
	$(BIN)/python -m pytest -q -s -m "growth or not growth" tests/ecs

properties: $(READY)  ## Try far more made-up stories of shares and revokes, and configs on the schema, than the tests do
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q tests/sharing/test_properties.py tests/config/test_schema.py

crash: $(READY)  ## Kill every command at every AWS call, run it again, and look at what stands (a quarter of an hour)
	$(BIN)/python tests/crash

race: $(READY)  ## Let 8 and then 32 writers without a lock share over the same four documents, 20 rounds each (ten minutes)
	for writers in 8 32; do RACE_WRITERS=$$writers RACE_ROUNDS=20 RACE_SETTLE_SECONDS=1 \
	  $(BIN)/python -m pytest -q -s tests/sharing/test_apply.py -k writers_at_once || exit 1; done

fuzz: $(READY)  ## Try a hundred times as much hostile input as the tests do, and print the totals (about ten minutes)
	FUZZ_FACTOR=100 $(BIN)/python -m pytest -q tests/hostile

BEFORE_FLAG = $(if $(BEFORE),--before $(BEFORE))
bench: $(READY)  ## Measure the product, in one table and two pictures; BEFORE=CHECKOUT names an earlier build (an hour)
	$(BIN)/python -m benchmarks --graph $(BEFORE_FLAG)

check: $(SITE)  ## Format, lint, types, import rules, lint of CloudFormation, IAM, Containerfile, CI and configs, links of the site
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint deployments/iam/*.yaml
	$(BIN)/hadolint Containerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows deployments/ci/github.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci deployments/ci/gitlab.yaml
	$(BIN)/check-jsonschema --schemafile configs/crossaccount.schema.json configs/*.yaml
	$(BIN)/python -m pytest -q tests/deployments/test_templates.py
	$(BUILD_SITE)

# Strict: a link, or an anchor, that leads nowhere ends it. It fetches nothing.
BUILD_SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
site: $(SITE)  ## Build the documentation site of README and docs/ into build/site
	$(BUILD_SITE)

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:  ## Pin every package anew, those of make clients and make growth too (needs uv and npm)
	$(LOCK) pyproject.toml --extra build --extra sandbox --extra dev -o requirements.lock
	$(LOCK) pyproject.toml --extra build --extra sandbox --extra dev --extra site -c requirements.lock -o requirements-site.lock
	$(LOCK) pyproject.toml --extra build --extra sandbox -c requirements.lock -o requirements-sandbox.lock
	$(LOCK) pyproject.toml -c requirements.lock -o requirements-production.lock
	cd tests/clients/locks && for given in *.in; do $(LOCK) $$given -o $${given%.in}.lock || exit; done
	cd tests/growth/locks && $(LOCK) redis.in -c ../../../requirements-production.lock -o redis.lock
	$(LOCK) pyproject.toml tests/growth/locks/prefect-3.8.in --extra build --extra sandbox -o tests/growth/locks/prefect-3.8.lock
	cd tests/clients/js && npm install --package-lock-only --omit-lockfile-registry-resolved=true --no-audit --no-fund

clean:  ## Remove .venv and the environments of make clients and make growth
	rm -rf $(VENV) .clients .growth
