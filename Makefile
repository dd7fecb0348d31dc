# Needs Python >= 3.11, git and make. Everything is installed into .venv; only test-torch installs torch.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -c constraints.txt

.DEFAULT_GOAL := help
GPU_PYTHON_VERSION ?= 3.12
WHEELS_FOR := --only-binary=:all: --implementation cp --python-version $(GPU_PYTHON_VERSION) \
    $(foreach n,17 24 27 28 31 34,--platform manylinux_2_$(n)_x86_64) --platform manylinux2014_x86_64
SITE := .gpu-site

.PHONY: help quickstart test test-slow test-torch check bench wheels validate-gpu artifact paper

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

quickstart: $(VENV)/.installed ## install simlora and run the main experiment: three classes of traffic, four systems
	$(BIN)/simlora run experiments/quickstart/experiment.toml

paper: $(VENV)/.installed ## the paper's claims, each beside what comes out here, and what its open assumptions change; resumes
	$(BIN)/simlora claims
	$(BIN)/simlora run experiments/paper-assumptions/experiment.toml
	$(BIN)/python experiments/paper-assumptions/tornado.py results/paper-assumptions

test: $(VENV)/.installed-dev ## run the tests, all but the slow ones
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(VENV)/.installed-dev ## run the tests that take minutes
	$(BIN)/python -m pytest -n auto --dist worksteal -m "slow and not torch and not gpu" || [ $$? -eq 5 ]  # 5: there are none

test-torch: $(VENV)/.installed-torch ## run the tests that need torch, on the CPU
	$(BIN)/python -m pytest -m "torch and not gpu"

check: $(VENV)/.installed-dev ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.installed-dev ## measure speed against bare SimPy; judges nothing
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.parallel

# What ARTIFACT.md says to expect, in at most 45 minutes; the doctor may have something to say and is not what is judged.
QUICK_CLAIMS := comparison slo throughput overheads breakdown scaling
artifact: $(VENV)/.installed-report ## what a reviewer looks at: doctor, quickstart, quick claims, one report, validation where a GPU is
	-$(BIN)/simlora doctor
	$(BIN)/simlora run experiments/quickstart/experiment.toml
	$(BIN)/simlora claims $(addprefix --only ,$(QUICK_CLAIMS))
	$(BIN)/simlora report results/quickstart
	@if nvidia-smi >/dev/null 2>&1; then $(MAKE) validate-gpu; else echo "no GPU here: nothing is validated"; fi

wheels: $(BIN)/pip ## download what an image with torch usually lacks, for a GPU machine without network (GPU_PYTHON_VERSION=3.12)
	@mkdir -p wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check -d wheels $(WHEELS_FOR) \
	    simpy pydantic tomli-w typer rich joblib

# With a torch that sees a GPU in PYTHON that one is used, with the wheels beside it; else all is installed into .venv.
# Parts of 8 minutes follow each other (exit code 3: there is more) until all is through or 18 minutes are spent.
validate-gpu: ## doctor, calibration and validation on this machine's GPU, in at most 18 minutes, into one archive
	@if $(PYTHON) -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then \
	    python=$(PYTHON); \
	    if ls wheels/*.whl >/dev/null 2>&1; then \
	        $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile \
	            --upgrade --target $(SITE) wheels/*.whl || exit 1; \
	    fi; \
	else \
	    $(MAKE) --no-print-directory $(VENV)/.installed-torch && python=$(BIN)/python || exit 1; \
	fi; \
	code=3; while [ $$code -eq 3 ]; do \
	    PYTHONPATH="$(CURDIR)/$(SITE):$(CURDIR)" $$python -m experiments.validation.on_gpu --minutes 8; code=$$?; \
	done; exit $$code

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# Installed anew when what is to be installed has changed. The dev extra comes on top of the rest, hence both stamps.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora into $(VENV)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-report: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora into $(VENV) with what its reports need"
	@$(INSTALL) -e '.[report]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora and what its tests need into $(VENV)"
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $(VENV)/.installed-report $@

$(VENV)/.installed-torch: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora into $(VENV) with torch and what the tests need"
	@$(INSTALL) -e '.[dev,gpu]'
	@touch $(VENV)/.installed $(VENV)/.installed-report $(VENV)/.installed-dev $@
