# Both first commands of the README do their own set-up in .venv:
#   make demo    live video through a lossy link on this machine (no torch needed but for PROFILE=generative)
#   make test    lint, types and every test
# make help lists the rest.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# A package index that offers torch without CUDA, for hosts whose default one does not, e.g.
#   make demo PROFILE=generative TORCH_INDEX=https://download.pytorch.org/whl/cpu
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

CORE_READY := $(VENV)/.ready-demo
GEN_READY  := $(VENV)/.ready-generative
DEV_READY  := $(VENV)/.ready-dev
INPUTS     := pyproject.toml constraints.txt

.PHONY: help demo test unit lint format bench constraints clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## make demo        a lossy link on this machine, with a page to watch; PROFILE, SOURCE, AUDIO, LOSS, RATE_KBPS, SIZE, FPS, DEMO_SECONDS, ... (README.md)
demo: $(CORE_READY) $(if $(filter generative,$(PROFILE)),$(GEN_READY))
	@$(BIN)/python -m tests.demo

## make test        lint, types and every test
test: lint unit

## make unit        the tests alone; ARGS="-k jitter" narrows them
unit: $(DEV_READY)
	OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

## make lint        ruff, its format check, and mypy --strict
lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## make format      let ruff rewrite the files
format: $(DEV_READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## make bench       speed of every stage on this machine; others: python -m tests.bench.NAME --help
bench: $(CORE_READY)
	@$(BIN)/python -m tests.bench.speed

## make constraints pin what is installed now
constraints: $(DEV_READY)
	@{ sed -n '/^#/p' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable \
	  | sed 's/+cpu$$//;s/+cu[0-9]*$$//'; } > constraints.new && mv constraints.new constraints.txt

## make clean       remove the environment, caches and the demo's output
clean:
	rm -rf $(VENV) build demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "semcast needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	    "Name another one with PYTHON=..." >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(CORE_READY): $(VENV)/.created $(INPUTS)
	@echo "installing what the demo needs (a minute on a fast link, once)"
	@$(PIP) -e ".[web]"
	@touch $@

# Only for PROFILE=generative.
$(GEN_READY): $(CORE_READY)
	@echo "installing what the generative decoder needs, torch among it (two minutes on a fast link, once)"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(PIP) -e ".[web,generative]"
	@touch $@

# torch by itself, and first: as a mere requirement of another package it may come with gigabytes of CUDA.
$(DEV_READY): $(CORE_READY)
	@echo "installing what the tests need (two minutes on a fast link, once)"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(PIP) -e ".[web,window,openvino,train,generative,tensorrt-rtx,tabletop,dev]"
	@touch $@
