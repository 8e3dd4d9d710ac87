# Everything a fresh machine needs is Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RECOVERY := $(foreach track,single two-scale hidden,--regime $(track) --regime $(track)-coarse)
SLOW := rl_ppo_ensemble rl_ppo_forecast rl_ppo_tendency rl_ppo_climate rl_td3 stencil_network_ar1

.PHONY: leaderboard assimilation recovery reinforcement test lint bench publish figures measurements clean help

help:  ## Show the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

leaderboard: $(READY)  ## Make the data, run and score the quick baselines, print the tables.
	$(BIN)/l96bench run --output results
	$(BIN)/l96bench leaderboard --results results --output results/board --show

assimilation: $(READY)  ## Run and score the data-assimilation baselines on both tracks, print the tables.
	$(BIN)/l96bench run --regime dense --regime sparse --output results
	$(BIN)/l96bench leaderboard --results results --output results/board --show

recovery: $(READY)  ## Run and score the equation-recovery baselines on all tracks, print the tables.
	$(BIN)/l96bench run $(RECOVERY) --output results
	$(BIN)/l96bench leaderboard --results results --output results/board --show

reinforcement: $(READY)  ## Train and score the baselines that take minutes a seed, print the tables.
	$(BIN)/l96bench run $(SLOW) --output results
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
	$(BIN)/l96bench run --regime wilks-f20 --regime arnold-c4 --regime dense --regime sparse $(RECOVERY) \
		--output leaderboard/results
	$(BIN)/l96bench run $(SLOW) --output leaderboard/results
	$(BIN)/l96bench leaderboard --readme README.md

figures: $(READY)  ## Remake the figures, and the pages that belong to them, from the committed results.
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/recovery.py
	$(BIN)/python docs/reinforcement.py

measurements: $(READY)  ## Remake docs/measurements.md.
	$(BIN)/python docs/measurements.py

clean:  ## Remove the environment and local results; the data cache stays.
	rm -rf $(VENV) results

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'l96bench needs Python 3.11 or newer'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[torch,rl,sindy,symbolic,dask,export,dev]"
	touch $(READY)
