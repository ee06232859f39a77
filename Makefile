# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv first, where it is not yet whole.

PYTEST_ARGS ?=
SEEDS ?= 500
BENCH_ARGS ?=
SOAK_ARGS ?=
SIMULATE_ARGS ?=
CHAOS_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser test-services services services-stop bench bench-pages soak security simulate chaos lint venv venv-test clean

help: ## What there is
	@echo "make demo          shop, middleware and ERP on this machine, until Ctrl-C; 'make demo ONCE=1' ends by itself"
	@echo "make test          the tests; 'make test PYTEST_ARGS=\"-k kits\"' passes arguments on"
	@echo "make test-slow     the tests that start, kill and restart real processes, and the demo and the benchmark"
	@echo "make test-browser  the panel in a real Chromium, which has to be installed (Debian: apt-get install chromium)"
	@echo "make test-services the tests that touch a database, on a PostgreSQL and a MariaDB, and those of the broker on a Redis"
	@echo "make services      starts the system's PostgreSQL, MariaDB and Redis for them, beside its services; 'make services-stop' ends it"
	@echo "make bench         how fast it is, beside a naive script; 'make bench BENCH_ARGS=\"--orders 200\"', '--help' tells the rest"
	@echo "make bench-pages   how long the panel's pages take on the server with 100,000 orders; 'make bench-pages BENCH_ARGS=\"--orders 1000\"'"
	@echo "make soak          a backlog of 100,000 orders beside one of 1,000: speed and memory; 'make soak SOAK_ARGS=\"--orders 5000\"'"
	@echo "make security      the tests of every row of docs/security.md, and a table of what was seen"
	@echo "make simulate      the road under one scheduler with every trouble, and mutants that it must catch; 'make simulate SEEDS=20000'"
	@echo "make chaos         kills and faults by the dozen, then a judge; 'make chaos ORDERS=2000 KILLS=40 SEED=7 DATABASE=sqlite'"
	@echo "make lint          ruff, mypy and import-linter"
	@echo "make venv          only .venv, with what the program needs to run"
	@echo "make clean         takes away .venv, var and caches"

# The line of a program that stays up is replaced by it (exec), so that Ctrl-C reaches it once and its exit code is ours.
demo: venv
	@exec .venv/bin/ordersync demo $(if $(ONCE),--once)

test: venv-test
	@exec .venv/bin/python -m pytest -n 2 --dist loadgroup -m "not slow and not browser" $(PYTEST_ARGS)

test-slow: venv-test
	@exec .venv/bin/python -m pytest -n 2 --dist loadgroup -m "slow and not browser" $(PYTEST_ARGS)

test-browser: venv-test
	@exec .venv/bin/python -m pytest -n 2 --dist loadgroup -m browser $(PYTEST_ARGS)

test-services: venv-test
	@exec deploy/test_services.sh $(PYTEST_ARGS)

services:
	@deploy/services.sh start "$${TMPDIR:-/tmp}/ordersync-services" && echo "They are started; 'make test-services' finds them by itself."

services-stop:
	@deploy/services.sh stop "$${TMPDIR:-/tmp}/ordersync-services"

bench: venv-test
	@exec .venv/bin/python -m tests.bench $(BENCH_ARGS)

bench-pages: venv-test
	@exec .venv/bin/python -m tests.bench.pages $(BENCH_ARGS)

soak: venv-test
	@exec .venv/bin/python -m tests.bench.soak $(SOAK_ARGS)

security: venv-test
	@exec .venv/bin/python -m tests.security -n 2 $(PYTEST_ARGS)

simulate: venv-test
	@exec .venv/bin/python -m tests.simulation --seeds $(SEEDS) $(SIMULATE_ARGS)

chaos: venv-test
	@exec .venv/bin/python -m tests.chaos $(if $(ORDERS),--orders $(ORDERS)) $(if $(KILLS),--kills $(KILLS)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(DATABASE),--database $(DATABASE)) $(CHAOS_ARGS)

lint: venv-test
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

venv:
	@deploy/make_venv.sh runtime

venv-test:
	@deploy/make_venv.sh test

clean:
	@rm -rf .venv var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
