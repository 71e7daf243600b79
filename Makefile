# Everything happens in .venv; no target needs root. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

# The tests start the command some hundred times: let Python keep what it compiled, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo run test check bench torture constraints clean
help:
	@echo "make demo   set up, then run the story of John, Bob and Sun on loopback"
	@echo "make run    serve with mailwye.toml of this folder (CONFIG=FILE for another)"
	@echo "make test   everything: checks, unit, simulation, real counterparts"
	@echo "make check  the fast part: style, types, layers, unit tests"
	@echo "make bench  measure beside Postfix, and how the cost grows, into docs/performance.md (root, 25 minutes, a quiet machine)"
	@echo "make torture  prove that nothing acknowledged is lost: the long forms, as root; writes docs/reliability.md"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Mailwye needs Python 3.11 or later; say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "python3 -m venv does not work here; on Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/mailwye demo

CONFIG ?= mailwye.toml
run: $(STAMP)
	$(BIN)/mailwye serve --config $(CONFIG)

check: $(STAMP)
	$(BIN)/ruff check src tests torture benchmarks
	$(BIN)/ruff format --check src tests torture benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n auto tests/unit tests/properties tests/transcripts tests/tidy

test: check
	sh tests/counterparts/install.sh
	$(BIN)/pytest -q -n auto --dist loadfile tests/conformance tests/simulation tests/integration tests/e2e tests/torture tests/benchmarks

bench: $(STAMP)
	$(BIN)/python benchmarks/relay.py --write
	$(BIN)/python benchmarks/growth.py --write

TORTURE := "kill --kills 200" \
	"kill --kills 200 --workers 2" \
	"power --cuts 50 --filesystem ext4" \
	"power --cuts 50 --filesystem xfs" \
	"restart --times 100" \
	"order" \
	"sync_errors" \
	"full" \
	"damage --flips 1000 --step 4096" \
	"outages" \
	"clocks" \
	"flips --flips 500" \
	"floods" \
	"big_spool"
torture: $(STAMP)
	sh tests/counterparts/install.sh
	@failed=""; for one in $(TORTURE); do \
		$(BIN)/python -m torture $$one --write || failed="$$failed [$$one]"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

constraints: $(STAMP)
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) .counterparts
