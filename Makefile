# `make app` and `make test` are all that a newcomer needs; both make or refresh .venv first.
PYTHON ?= python3
VENV := .venv
IN := $(VENV)/bin/python

.PHONY: app test check examples alignment clean
.DEFAULT_GOAL := app

$(VENV)/.app: requirements.txt
	@echo "Setting up $(VENV) (about 6 GB and some minutes, once) ..."
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "LTAD needs Python 3.11, 3.12 or 3.13, this is %d.%d: try make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(IN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.app tests/requirements.txt
	@echo "Adding what the tests need ..."
	$(IN) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt
	@touch $@

app: $(VENV)/.app ## Open the app
	@echo "Starting the app; stop it with Ctrl-C ..."
	$(IN) app.py

test: $(VENV)/.test ## Run the tests
	$(IN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.test ## Look over the code
	$(IN) -m ruff check .
	$(IN) -m ruff format --check .
	$(IN) -m mypy

examples: $(VENV)/.app ## Render assets/examples again
	$(IN) -m app.examples

alignment: $(VENV)/.app ## Make ltad/foundation/align_mini.safetensors again
	$(IN) -m ltad.foundation.alignment

clean: ## Remove the environment
	rm -rf $(VENV)
