# Each target sets up what it needs by itself; a second call installs nothing. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
# An image that has the packages sets this to nothing: a .venv that is mounted with the project is another machine's.
INSTALLED ?= .venv/installed
export PATH := $(if $(INSTALLED),$(CURDIR)/.venv/bin:)$(PATH)

.PHONY: setup repro exp grid depths table study test torture browser docs lock help

setup: $(INSTALLED)  ## install all packages in .venv, as each target does that needs them

repro: $(INSTALLED)  ## run the whole ladder and print its table
	@python -m pipeline.ready repro
	@deepen settings
	dvc repro
	@deepen results

# SET: settings, with blanks between them, such as SET="lr=0.01 datasets.folder.root=/my photos". NAME and STAGE: if wanted.
# LADDER: a file of ladders/, in place of params.yaml: LADDER=paper.
export SET
EXPERIMENT = deepen $(if $(LADDER),ladder $(LADDER),exp)
OPTIONS = $(if $(NAME),--name $(NAME)) $(if $(SET),--changes "$$SET") $(STAGE)
exp: $(INSTALLED)  ## try settings and leave your files as they are: make exp SET="lr=0.01 width=0.25" NAME=narrow
	@python -m pipeline.ready experiment
	$(EXPERIMENT) --temp $(OPTIONS)

# Workers of DVC's queue may stop while experiments wait (treeverse/dvc issues 10398, 10428): they are started until none does.
grid: $(INSTALLED)  ## try all combinations, one after the other: make grid SET="lr=0.01,0.02 seed=0,1" NAME=rate
	@python -m pipeline.ready experiment
	$(EXPERIMENT) --queue $(OPTIONS)
	@while dvc queue status | grep --extended-regexp --quiet ' (Queued|Running)'; do dvc queue start --quiet; sleep 10; done
	dvc queue status

DEPTHS ?= I III
depths: $(INSTALLED)  ## hold a model against a deeper one, without training: make depths DEPTHS="II III"
	@python -m pipeline.ready experiment
	@for depth in $(DEPTHS); do \
		dvc exp remove --quiet depth-$$depth 2> /dev/null; \
		dvc exp run --temp --name depth-$$depth --set-param depth=$$depth report || exit 1; \
	done
	dvc metrics diff depth-$(firstword $(DEPTHS)) depth-$(lastword $(DEPTHS)) --targets metrics/final.json

# DVC's own table has a column for each file and each setting.
table: $(INSTALLED)  ## all experiments: top-1, loss, and the settings in which they differ
	dvc exp show --no-pager --only-changed --drop 'Created|State|Executor|params.yaml|.*/(?!final.json:(top1|loss)).*'

study: $(INSTALLED)  ## what growing buys, what the recipe's items buy: hours, and CIFAR-10 is downloaded once
	cd study && dvc repro
	@cat study/growing.md study/recipe.md

test: $(INSTALLED)  ## lint, types, lock against code, behaviour
	ruff check .
	ruff format --check .
	mypy
	dvc repro --dry --allow-missing
	pytest

torture: $(INSTALLED)  ## the long form of the tests of reliability: kills, faults, bad input, fuzz
	python tests/bad_input.py
	pytest --torture tests/test_kills.py tests/test_faults.py tests/test_fuzz.py tests/test_bad_input.py \
		tests/test_checkpoint.py tests/test_checksums.py tests/test_locking.py tests/test_interruption.py tests/test_large.py

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)
browser:  ## the browser that tests of the report page need, where there is none (Debian, Ubuntu)
	command -v chromium || command -v google-chrome || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes chromium; }

docs: $(INSTALLED)  ## the documentation as a site, in site/
	mkdocs build --strict

lock:  ## pin the newest releases that pyproject.toml admits, with hashes (needs uv)
	uv pip compile pyproject.toml --extra onnx --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.txt

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1	/p' Makefile | expand -t 10

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Deepen needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.txt
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
