# make run    set up and run the main job on the embedded data set (TORCH=cpu: without CUDA)
# make test   set up, check style and types, and run the tests
# make studies  run every study in miniature
# make docs   build the documentation site into docs/_build/html
# make slurm  install an extra: c2pa, dashboards, export, hub, optuna, serve, slurm, super-resolution or timm; make ray: what sweeps on Ray need
# make bench  measure the input pipeline and the CPU steps (bench-export, bench-inputs, bench-intervals, bench-predict, bench-scale, bench-serve, bench-unpack, bench-gpu: the others)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
# The lock file as constraints: it says which version of a package is installed, and asks for none. So one
# file holds for users and developers, and a CPU build of torch brings no CUDA libraries.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint requirements.lock
EXTRAS := c2pa dashboards export hub optuna serve slurm super-resolution timm
GROUP = $(BIN)/python -c 'import sys, tomllib; groups = tomllib.load(open("pyproject.toml", "rb")); \
	print(*groups["dependency-groups"][sys.argv[1]], sep="\n")'

.PHONY: run studies setup dev $(EXTRAS) test lint mypy docs test-slow test-browser test-network test-gpu bench bench-export bench-inputs bench-intervals bench-predict bench-scale bench-serve bench-unpack bench-gpu soak ray lock clean

run: setup
	$(BIN)/python run.py experiments=quickstart

# All studies in miniature, the trainings first: the others test a checkpoint of theirs.
MINIATURES := augmentation num_classes leave_one_out chronological zhang detectors embedded robustness matched_format uncropped unseen spectra ranking published
studies: setup
	for name in $(MINIATURES); do $(BIN)/python run.py experiments=$${name}_mini || exit 1; done

setup: $(READY)

# A half-made environment leaves no mark and is made again. TORCH=cpu: builds for CPUs, from PyTorch's
# own index, which nothing else is taken from.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "genspot needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
ifdef TORCH
	@case '$(TORCH)' in cpu | cu[0-9]* | rocm[0-9]* | xpu) ;; *) \
		echo "TORCH=$(TORCH): give cpu, or another name in PyTorch's index; without it: the builds of PyPI"; exit 1;; esac
endif
	$(PYTHON) -m venv $(VENV)
	$(PIP) --quiet setuptools
ifdef TORCH
	$(PIP) --no-deps --index-url https://download.pytorch.org/whl/$(TORCH) torch torchvision
endif
	$(PIP) --no-build-isolation --editable .
	@touch $@

# What the checks need beside it: the group `dev` of pyproject.toml, and the extras that tests use.
dev: $(READY_DEV)

$(READY_DEV): $(READY)
	$(GROUP) dev | $(PIP) --no-build-isolation --editable '.[c2pa,dashboards,export,hub,optuna,serve,slurm,timm]' -r /dev/stdin
	@touch $@

$(EXTRAS): setup
	$(PIP) --no-build-isolation --editable '.[$@]'

# One thread for each of several processes: multithreaded ones would wait for one another.
test: dev lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile -m "not slow and not gpu and not network"

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory mypy

# A link makes src/ the package genspot for mypy.
mypy: dev
	@mkdir -p .mypy_cache/path && ln -sfn ../../src .mypy_cache/path/genspot
	$(BIN)/mypy

# The group `docs` of pyproject.toml, once; with it the build needs no network.
docs: setup
	@$(GROUP) docs | $(PIP) --quiet -r /dev/stdin
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

test-slow: dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

test-browser: dev
	$(BIN)/python -m pytest -m browser

test-network: dev
	$(BIN)/python -m pytest -m network

test-gpu: dev
	$(BIN)/python -m pytest -m gpu

# Speed beside the published pipeline and plain PyTorch; results and what was dropped are in
# benchmarks/README.md.
bench: setup
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.step

bench-export: export
	$(BIN)/python -m benchmarks.export

bench-inputs: setup
	$(BIN)/python -m benchmarks.inputs

bench-intervals: setup
	$(BIN)/python -m benchmarks.intervals
	$(BIN)/python -m benchmarks.clusters

bench-predict: setup
	$(BIN)/python -m benchmarks.predict

bench-scale: setup
	$(BIN)/python -m benchmarks.scaling

bench-serve: serve
	$(BIN)/python -m benchmarks.serve

bench-unpack: setup
	$(BIN)/python -m benchmarks.unpack

bench-gpu: setup
	$(BIN)/python -m benchmarks.gpu

# Two hours of small trainings and random kills; a line a round goes to soak.csv.
soak: setup
	$(BIN)/python -m benchmarks.soak --minutes 120

# Sweeps on Ray: hydra/launcher=ray. Apart from the others, for it is large. Its launcher asks for an
# old cloudpickle, for AWS alone, that joblib refuses; so it is installed as it is. Python 3.11 to
# 3.14 have wheels of this Ray (Apache-2.0, 2026; hydra-ray-launcher: MIT, 2026-10).
ray: setup
	$(PIP) ray==2.60.0
	$(PIP) --no-deps hydra-ray-launcher==1.2.2

# Pin what pyproject.toml asks for, for every platform; names and versions, no hosts.
lock: setup
	$(BIN)/python -m pip install --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --group dev --all-extras --no-annotate --no-emit-index-url \
		--custom-compile-command "make lock" --upgrade pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) datasets runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
