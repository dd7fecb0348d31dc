# Needs Python >= 3.11, git and make. Everything is installed into .venv; only test-torch installs torch.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-torch check bench

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

quickstart: $(VENV)/.installed ## install simlora and run the main experiment: three classes of traffic, four systems
	$(BIN)/simlora run experiments/quickstart/experiment.toml

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
	$(BIN)/python -m benchmarks.request_level serverless-lora serverless-llm insta-infer vllm
	$(BIN)/python -m benchmarks.iteration_level vllm s-lora

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# Installed anew when what is to be installed has changed. The dev extra comes on top of the rest, hence both stamps.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora into $(VENV)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora and what its tests need into $(VENV)"
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-torch: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing simlora into $(VENV) with torch and what the tests need"
	@$(INSTALL) -e '.[dev,gpu]'
	@touch $(VENV)/.installed $(VENV)/.installed-dev $@
