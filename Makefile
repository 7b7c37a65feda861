# Everything from a fresh machine: each target makes the virtual environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: example test fuzz crash lint types contracts check accuracy benchmark benchmark-long growth draws joint usual campaign campaign-speed choice coverage lysozyme clean

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(INSTALLED)

# The shipped series, refined; everything that comes out lies in example_data/photocycle/refined.
example: $(INSTALLED)
	$(BIN)/torchref.kinetic refine example_data/photocycle/refinement.toml

# The suite that runs on every change, on all cores.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# 1.3 million inputs to the parsers and the loader of refinement files, the most of them led by what code they reach
# (atheris, on Linux alone), and thousands of damaged files; half an hour.
fuzz: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable ".[fuzz]"
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.guided charts 1000000
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz.guided files 200000
	FUZZ_EXAMPLES=20000 FUZZ_DAMAGED=3000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto tests/fuzz

# Refinements and campaigns killed at 200 random moments, and gone on with to the numbers of an unbroken run; half an hour.
crash: $(INSTALLED)
	CRASH_KILLS=200 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -rP tests/integration/interruption/test_killed_refinement.py tests/integration/interruption/test_killed_campaign.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

contracts: $(INSTALLED)
	$(BIN)/lint-imports

check: test lint types contracts

# The table of docs/accuracy.md: populations and gradients against 60 digits.
accuracy: $(INSTALLED)
	$(BIN)/python -m tests.reference.accuracy_table

# Time and memory beside the framework's own kinetic module, in one process.
benchmark: $(INSTALLED)
	$(BIN)/python -m benchmarks --json benchmark.json

# As above, and what takes minutes because the framework does: the kinetic fit, 64 datasets.
benchmark-long: $(INSTALLED)
	$(BIN)/python -m benchmarks --long

# How a joint step grows with timepoints, reflections and structures, and the memory of 1,000 x 100,000; six minutes.
growth: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.growth --json growth.json

# Bias, spread and coverage over 30 draws of the example's noise, and the comparison with a fit in two steps.
draws: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.draws 30

# Structures and kinetics together on the three simulated series, and 20 cycles without a stop; fifteen minutes.
joint: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.position_bound
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.joint_series --long

# The three simulated series refined the usual way: extrapolated amplitudes, one structure at a time; five minutes.
usual: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.usual_way

# The campaign at three temperatures: 40 draws of the noise, all temperatures together and each alone; half an hour.
campaign: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.campaign 40

# 64 small runs of a campaign file on two workers and on one, by turns; a quarter of an hour.
campaign-speed: $(INSTALLED)
	$(BIN)/python -m benchmarks.campaign_runs 64

# How often the right one of four schemes is found, over draws of the example's noise; six minutes.
choice: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.scheme_choice 6

# Whether 95 % intervals hold the truth: 400 draws at fixed structures, 60 with structures refined; an hour.
coverage: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage 400
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage_joint 60

# The real temperature-jump series, at full resolution, and its null test; skipped where the data are absent.
lysozyme: $(INSTALLED)
	$(BIN)/python -m pytest -m slow -s tests/integration/test_lysozyme.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
