# Every habit of the project, one word each. `make demo` and `make test` set up all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := src tests benchmarks examples docs scripts
export MPLBACKEND := Agg
SEED ?= $(shell date +%Y%m%d0000)

.PHONY: setup demo test check bench docs soak fuzz clean gui-shots site wheels

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt scripts/set_up.sh scripts/system_packages.sh
	@bash scripts/set_up.sh $(PYTHON) $(VENV)
	@touch $@

demo: setup
	$(BIN)/python examples/demo.py --output demo_output

# Two files of tests at a time, since the tests of a file share what they made; slow files first.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST)

check: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow"

# Draws every picture of the documentation again.
docs: setup
	@for script in docs/gallery/*.py docs/make_format_tables.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

# The pages as a site that opens without a network: build/site/index.html.
site: setup
	$(BIN)/python -m sphinx -W -n -q -b html docs build/site

# Installs the wheel under each Python at hand and measures with it, as a user's first run does.
wheels: setup
	$(BIN)/python scripts/try_wheels.py

# Photographs the windows, on a screen in memory, for README and docs.
gui-shots: setup
	@for script in docs/shots/*.py; do echo "$$script"; $(BIN)/python $$script || exit 1; done

bench: setup
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Ten thousand damaged files of every kind, other ones each day; those that no reader stood are kept.
fuzz: setup
	$(BIN)/python scripts/hostile_files.py --seed $(SEED) $(FUZZ)
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest -q -n 2 tests/fuzz/test_grammars.py

# Kills commands at random moments, 25 times each, and compares with undisturbed runs; some 20 minutes alone.
soak: setup
	$(BIN)/python scripts/soak.py $(SOAK)

clean:
	rm -rf $(VENV) build demo_output
