# Everything runs in .venv, which the first target makes; nothing is installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 3
RUN ?= --check
EXPORT := ../shared/data/export.py
ifndef KERAS_OOD_DATA
ifneq ($(wildcard $(EXPORT)),)
export KERAS_OOD_DATA := $(CURDIR)/build/data
FILL := $(BIN)/python $(EXPORT) $(KERAS_OOD_DATA)
endif
endif

.PHONY: demo data test lint test-tensorflow test-ray test-jax test-wheel speed tutorials docs constraints cards clean

demo: data  ## score real images with a pretrained detector: a table on the screen, pictures in demo/
	$(BIN)/keras-ood demo

data: $(STAMP)  ## the data sets as <name>.npz, where this machine has what exports them; without, tests of real data are skipped
	$(FILL)

test: data  ## all that CI asks, two at a time; then Ray, whose workers want the cores for themselves
	$(MAKE) --jobs=2 --output-sync=target test-tensorflow test-jax lint test-wheel
	$(MAKE) test-ray

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

test-tensorflow: data
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest --ignore tests/test_ray.py

test-ray: data
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest tests/test_ray.py

test-jax: data
	KERAS_BACKEND=jax $(BIN)/python -m pytest

test-wheel: $(STAMP)  ## what users install: the wheel, from another directory, without the network
	$(BIN)/python tools/check_wheel.py
	KERAS_BACKEND=tensorflow $(BIN)/python tools/check_runtime.py

speed: $(STAMP)  ## speed as ratios, compared with those kept in benchmark/
	KERAS_BACKEND=tensorflow $(BIN)/keras-ood benchmark --speed --check --speed-images 300000

tutorials: data  ## run every notebook; RUN= keeps the new outputs
	KERAS_BACKEND=tensorflow $(BIN)/python tools/run_tutorials.py $(RUN)

docs: $(STAMP)  ## the site, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 KERAS_BACKEND=tensorflow $(BIN)/mkdocs build --strict --quiet

constraints: $(STAMP)  ## resolve again for every supported Python
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-header --no-annotate pyproject.toml -o constraints.txt

cards: $(STAMP)  ## render zoo/*/README.md, the tables of README and docs and the benchmark's report again
	$(BIN)/python tools/render_cards.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	-$(BIN)/python -m compileall -q -j 0 $(VENV)/lib keras_ood >/dev/null  # pip leaves it to each first import where bytecode is off
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist demo site
