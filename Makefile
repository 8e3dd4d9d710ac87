# Everything a fresh machine needs is Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: leaderboard assimilation test lint bench publish picture measurements clean help

help:  ## Show the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

leaderboard: $(READY)  ## Make the data, run and score the quick baselines, print the tables.
	$(BIN)/l96bench run --output results
	$(BIN)/l96bench leaderboard --results results --output results/board --show

assimilation: $(READY)  ## Run and score the data-assimilation baselines on both tracks, print the tables.
	$(BIN)/l96bench run --regime dense --regime sparse --output results
	$(BIN)/l96bench leaderboard --results results --output results/board --show

test: $(READY)  ## Run the tests.
	$(BIN)/pytest -n auto --dist loadfile

lint: $(READY)  ## Style, types, layers, and whether the committed tables are what the results make.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/l96bench leaderboard --check --readme README.md

bench: $(READY)  ## Measure speeds beside their yardsticks.
	$(BIN)/pytest benchmarks --benchmark-only

publish: $(READY)  ## For maintainers: score the baselines into the committed results and remake every table.
	$(BIN)/l96bench run --regime wilks-f20 --regime arnold-c4 --regime dense --regime sparse --output leaderboard/results
	$(BIN)/l96bench leaderboard --readme README.md

picture: $(READY)  ## Remake the picture of the README.
	$(BIN)/python docs/picture.py

measurements: $(READY)  ## Remake docs/measurements.md.
	$(BIN)/python docs/measurements.py

clean:  ## Remove the environment and local results; the data cache stays.
	rm -rf $(VENV) results

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'l96bench needs Python 3.11 or newer'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,rl,sindy,symbolic,dev]"
	touch $(READY)
