# Both targets set everything up by themselves; a second call installs nothing.
SHELL := /bin/bash
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro study test torture lock

repro: .venv/installed  ## run the whole ladder and print its table
	dvc repro
	@cat reports/table.md

study: .venv/installed  ## what growing buys, what the recipe's items buy: hours, and CIFAR-10 is downloaded once
	cd study && dvc repro
	@cat study/growing.md study/recipe.md

test: .venv/installed  ## lint, types, lock against code, behaviour
	ruff check .
	ruff format --check .
	mypy
	dvc repro --dry --allow-missing
	pytest

torture: .venv/installed  ## the long form of the tests of reliability: kills, faults, bad input, fuzz
	python tests/bad_input.py
	pytest --torture tests/test_kills.py tests/test_faults.py tests/test_fuzz.py tests/test_bad_input.py \
		tests/test_checkpoint.py tests/test_locking.py tests/test_interruption.py

lock:  ## pin the newest releases that pyproject.toml admits, with hashes (needs uv)
	uv pip compile pyproject.toml --extra onnx --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.txt

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Deepen needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.txt
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
