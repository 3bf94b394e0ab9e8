# Each target installs what it needs; a second call installs nothing. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
# A container image that contains the packages sets this to nothing: a mounted .venv belongs to another machine.
INSTALLED ?= .venv/installed
export PATH := $(if $(INSTALLED),$(CURDIR)/.venv/bin:)$(PATH)

.PHONY: setup repro exp grid search depths seeds baseline results study test torture gpu-check browser docs lock help

setup: $(INSTALLED)  ## install all packages in .venv (other targets do this by themselves)

repro: $(INSTALLED)  ## run the whole ladder and print the results
	@python -m pipeline.ready repro
	@deepen settings
	dvc repro
	@deepen results

# SET: settings, separated by blanks, such as SET="lr=0.01 datasets.folder.root=/my photos". NAME, STAGE: optional.
# LADDER: a file of ladders/ to use instead of params.yaml, such as LADDER=paper.
export SET
EXPERIMENT = deepen $(if $(LADDER),ladder $(LADDER),exp)
OPTIONS = $(if $(NAME),--name $(NAME)) $(if $(SET),--changes "$$SET") $(STAGE)
exp: $(INSTALLED)  ## try settings in a copy of the project: make exp SET="lr=0.01 width=0.25" NAME=a
	@python -m pipeline.ready experiment
	@$(EXPERIMENT) --temp $(OPTIONS)
	@deepen results

grid: $(INSTALLED)  ## try all combinations and compare: make grid SET="lr=0.01,0.02" NAME=a
	@python -m pipeline.ready experiment
	@$(EXPERIMENT) --queue $(OPTIONS)
	@deepen queue; code=$$?; deepen results; exit $$code

# TRIALS: how many in all. APPLY=1: replace your settings by the best. NAME: optional.
TRIALS ?= 20
search: $(INSTALLED)  ## find good settings by validation: make search TRIALS=20 SET="lr=0.003..0.1"
	@python -m pipeline.ready experiment
	@deepen search --trials $(TRIALS) $(if $(NAME),--name $(NAME)) --changes "$$SET" $(if $(APPLY),--apply)

DEPTHS ?= I III
depths: $(INSTALLED)  ## compare two models without training: make depths DEPTHS="II III"
	@python -m pipeline.ready experiment $(DEPTHS)
	@for depth in $(DEPTHS); do \
		dvc exp remove --quiet depth-$$depth 2> /dev/null; \
		deepen exp --temp --name depth-$$depth --set-param depth=$$depth report || exit 1; \
	done
	dvc metrics diff depth-$(firstword $(DEPTHS)) depth-$(lastword $(DEPTHS)) --targets metrics/final.json

# SEEDS: separated by blanks. NAME: of the experiments, by default ladder; SET: settings for all of them.
SEEDS ?= 0 1 2 3 4
seeds: $(INSTALLED)  ## train with several seeds and compare the models: make seeds SEEDS="0 1 2" SET="lr=0.01" NAME=a
	@python -m pipeline.ready experiment
	@deepen seeds $(SEEDS) $(if $(NAME),--name $(NAME)) $(if $(SET),--changes "$$SET")

# MODEL: by default the one that depth names. NAME: of make seeds; without it, the ladder of make repro.
baseline: $(INSTALLED)  ## train a model from scratch with the compute of its ladder: make baseline MODEL=III NAME=a
	@python -m pipeline.ready experiment
	@deepen baseline $(MODEL) $(if $(NAME),--of $(NAME))
	$(if $(NAME),,@deepen results)

results: $(INSTALLED)  ## list the results of all models and experiments, best first
	@deepen results

study: $(INSTALLED)  ## run the studies of growing and of the recipe: takes hours, downloads CIFAR-10 once
	cd study && dvc repro
	@cat study/growing.md study/recipe.md

test: $(INSTALLED)  ## lint, types, lock against code, behaviour
	ruff check .
	ruff format --check .
	mypy
	dvc repro --dry --allow-missing
	pytest

torture: $(INSTALLED)  ## run the long reliability tests: kills, faults, bad input, fuzz
	python tests/helpers/bad_input.py
	pytest --torture tests/test_kills.py tests/test_faults.py tests/test_fuzz.py tests/test_bad_input.py \
		tests/test_checkpoint.py tests/test_checksums.py tests/test_locking.py tests/test_interruption.py tests/test_large.py
	pytest --torture -m long

# IMAGES: a folder or archive, as for data=folder. SECONDS: for everything; more of it trains more seeds.
export IMAGES
gpu-check: $(INSTALLED)  ## test and measure on a CUDA card: make gpu-check IMAGES=/path/to/cifar10-jpeg.tar.xz
	$(if $(IMAGES),,$(error IMAGES: missing; write for example make gpu-check IMAGES=/path/to/cifar10-jpeg.tar.xz))
	python -m benchmarks.gpu "$$IMAGES" $(if $(SECONDS),--seconds $(SECONDS))

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)
browser:  ## install Chromium for the tests of the report page, unless a browser is installed (Debian, Ubuntu)
	command -v chromium || command -v google-chrome || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes chromium; }

docs: $(INSTALLED)  ## build the documentation as a website, in site/
	mkdocs build --strict

lock:  ## pin the newest releases that pyproject.toml allows, with hashes (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.txt

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1	/p' Makefile | expand -t 10

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Deepen needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.txt
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
