# Every target sets up what it needs: a virtual environment with the pinned packages, made once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-dev
READY_RUN := $(VENV)/ready-run
SOAK := $(addprefix benchmarks/service_,requests.py load.py faults.py)

.PHONY: demo test check bench soak docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   the whole story on rendered letters, with a report to open (about a minute)"
	@echo "make test   every test, doctest and guide page"
	@echo "make check  style, types, layers"
	@echo "make bench  the figures of speed, side by side in one run each"
	@echo "make soak   spoiled files, and the service under bad requests, load and faults, at full length (hours)"
	@echo "make docs   write the generated reference"

# The torch wheel is pinned: another version would pull gigabytes of GPU packages.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"

$(READY_RUN): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(READY): $(READY_RUN)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# ONNX Runtime for browsers, which one test of a guide page looks for.
$(VENV)/ready-web:
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/web onnxruntime-web@1.30.0
	touch $@

demo: $(READY_RUN)
	$(BIN)/bayesight demo --out runs/demo --overwrite

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/reference/generate.py --check
	$(BIN)/python docs/reference/messages.py --check

bench: $(READY)
	for file in $(filter-out $(SOAK),$(wildcard benchmarks/*.py)); do $(BIN)/python $$file || exit 1; done

soak: export OMP_NUM_THREADS = 1
soak: $(READY)
	$(BIN)/python -m pytest tests -m fuzz --hypothesis-profile=soak --timeout=0
	for file in $(SOAK) benchmarks/ledger.py; do $(BIN)/python $$file || exit 1; done
	$(BIN)/python benchmarks/service_faults.py --fault kill --workers 2

docs: $(READY)
	$(BIN)/python docs/reference/generate.py
	$(BIN)/python docs/reference/messages.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
