# Everything a fresh machine needs is Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RECOVERY := $(foreach track,single two-scale hidden,--regime $(track) --regime $(track)-coarse)
# One closure regime, one track of assimilation, and one of recovery: what ten minutes allow.
FEW := --regime wilks-f20 --regime dense --regime single-coarse
# DASK=tcp://host:8786 has the work done by the workers of that Dask scheduler.
RUN := $(BIN)/l96bench run $(if $(DASK),--dask $(DASK))
SHOW := $(BIN)/l96bench leaderboard --results results --show

.PHONY: leaderboard baselines baselines-quick assimilation recovery headroom reinforcement test test-fast lint bench publish figures \
	docs measurements scale clean help

help:  ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

leaderboard: $(READY)  ## Make the data, run and score the quick baselines, print the tables.
	$(RUN) --output results
	$(SHOW)

baselines: $(READY)  ## All baselines but the policies, on all their regimes and tracks; carries on where it stopped.
	$(RUN) --all --no-slow --output results
	$(SHOW)

baselines-quick: $(READY)  ## One seed of every baseline that does not train for minutes, on a regime and two tracks.
	$(RUN) --all --no-slow --seeds 1 $(FEW) --output results-quick
	$(BIN)/l96bench leaderboard --results results-quick --show

assimilation: $(READY)  ## The data-assimilation baselines on both tracks.
	$(RUN) --all --regime dense --regime sparse --output results
	$(SHOW)

recovery: $(READY)  ## The equation-recovery baselines on all tracks.
	$(RUN) --all $(RECOVERY) --output results
	$(SHOW)

headroom: $(READY)  ## The baselines of closures from observations and for systems never seen, on all tracks.
	$(RUN) $(notdir $(basename $(wildcard baselines/ob_*.py baselines/up_*.py))) --output results
	$(SHOW)

reinforcement: $(READY)  ## The policies, which train for minutes a seed.
	$(RUN) $(notdir $(basename $(wildcard baselines/rl_*.py))) --output results
	$(SHOW)

test: $(READY)  ## Run the tests.
	$(BIN)/pytest -n auto --dist loadfile

test-fast: $(READY)  ## The tests that take a minute: no real data, training, cluster or browser.
	$(BIN)/pytest -n auto --dist loadfile -m "not slow"

lint: $(READY)  ## Style, types, layers, whether the rows can be so, and whether the tables are what they make.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/l96bench leaderboard --check --readme README.md
	$(BIN)/l96bench verify --all --no-run

bench: $(READY)  ## Measure speeds beside their yardsticks.
	$(BIN)/pytest benchmarks --benchmark-only

publish: $(READY)  ## For maintainers: score every baseline into the committed results and remake every table.
	$(RUN) --all --output leaderboard/results
	$(BIN)/l96bench leaderboard --write --readme README.md

figures: $(READY)  ## Remake figures and pages from the committed results and docs/measured; AGAIN=--again makes the runs anew.
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/metrics.py
	$(BIN)/python docs/datasheet.py
	$(BIN)/python docs/recovery.py $(AGAIN)
	$(BIN)/python docs/rewards.py $(AGAIN)
	$(BIN)/python docs/horizons.py $(AGAIN)
	$(BIN)/python docs/search.py $(AGAIN)
	$(BIN)/python docs/headroom.py $(AGAIN)
	$(BIN)/python docs/thumbnails.py
	$(BIN)/l96bench leaderboard --write
	$(BIN)/python docs/results.py
	$(BIN)/python docs/findings.py

docs: $(READY)  ## Build the documentation site into docs/_build/html, tutorials executed; no warning is let through.
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --jobs auto --doctree-dir docs/_build/doctrees docs docs/_build/html

measurements: $(READY)  ## Remake docs/measurements.md.
	PYTHONPATH=. $(BIN)/python docs/measurements.py

scale: $(READY)  ## Remake docs/scale.md: what a sweep of 10,000 models on 100 workers costs.
	$(BIN)/python docs/scale.py --again

clean:  ## Remove the environment and local results; the data cache stays.
	rm -rf $(VENV) results results-quick

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'l96bench needs Python 3.11 or newer'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,docs,dev]"
	touch $(READY)
