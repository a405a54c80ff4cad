# make run    make the virtual environment, install, write a .env with random secrets if there is none, serve to this
#             machine alone: it is plain HTTP. ADDRESS, in the environment or in .env, says where else to listen
# make demo   the same for a made-up application whose logs are fed and followed in this terminal
# make cluster-demo   three nats-servers, three replicas and a balancer on this machine, and a rolling restart of them
# make test   the tests        make check   what CI runs: formatting, lint, types, tests with branch coverage
# make types  the types of the viewer, where there is a TypeScript compiler
# make format put the code into shape
# make chaos  what takes long: a browser that reads through ten restarts, and replicas whose NATS is killed and frozen
# make bench  what it costs, measured in less than five minutes      make soak   ten minutes of everything at once

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A process for each core; the tests of a file stay together, for they share what takes time to start.
SIDE_BY_SIDE := -n auto --dist loadfile

.DELETE_ON_ERROR:
.PHONY: run demo cluster-demo test check types chaos format bench soak clean

run: $(VENV)/runtime .env
	@grep -Eq '^[[:space:]]*(export[[:space:]]+)?ADDRESS[[:space:]]*=' .env || export ADDRESS="$${ADDRESS:-localhost}"; \
	exec $(BIN)/python logurt.py

demo: $(VENV)/runtime
	@exec $(BIN)/python logurt.py demo

cluster-demo: $(VENV)/development
	@exec $(BIN)/python -m benchmarks.cluster.demo

test: $(VENV)/development
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE)

check: $(VENV)/development types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) --cov --cov-branch --cov-report=term

# TypeScript reads the JSDoc of the viewer. Nothing else needs it, so it is used where it is installed.
types:
	@tsc=$$(command -v tsc || echo npx --no-install tsc); \
	if $$tsc --version >/dev/null 2>&1; then echo "$$tsc --noEmit"; $$tsc --noEmit; \
	else echo "no tsc here: the types of viewer/ are not checked"; fi

chaos: $(VENV)/development
	$(BIN)/python -m pytest -q tests/chaos
	$(BIN)/python -m pytest -q -m chaos

format: $(VENV)/development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/runtime
	$(BIN)/python -m benchmarks

soak: $(VENV)/runtime
	$(BIN)/python -m benchmarks.soak --minutes 10

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

.env:
	@umask 077 && $(PYTHON) -c 'import secrets; print(*(f"{name}={secrets.token_urlsafe(32)}" for name in ("API_SECRET", "INGEST_SECRET", "JWT_SIGNING_KEY")), sep="\n")' > $@
	@echo "wrote random secrets to .env"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "logurt needs Python 3.11 or newer: make PYTHON=python3.13")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/development: requirements.txt requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/runtime
