# make demo    a sound and a spoken sentence in output/, and their pictures
# make test    the tests; make slow, make browser, make lint, make parity: what CI runs besides
# make install-test, make schema, make cluster: by hand
# make clean   remove the environment and everything built
#
# Each makes what it needs in .venv, once. PYTHON=/path/to/python picks the interpreter.

PYTHON :=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A process a core, but two where each holds networks of full size twice. One that crashes ends the run: xdist would
# wait for ever for what it was to do. The tests of a file stay together, since they share what they prepare. Files
# begin in the order of their names: xdist would leave those with the fewest tests for the end, and they are the slowest.
# One thread in each process: more would wait for each other, five times as long. The package is compiled once, also
# where the environment asks for no compiled files: else by each of the dozens of processes that tests start.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest
ON_ALL_CORES := -n auto --maxprocesses 8 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
ON_TWO := -n 2 --dist loadfile --no-loadscope-reorder
# These see nothing of the framework that runs the networks.
ON_ANY_FRAMEWORK := $(addprefix --ignore=tests/,assistants audio commands evaluation lists serving sounds storage ui test_cli.py \
	test_distribution.py test_examples.py)

.PHONY: demo test slow browser lint parity install-test schema cluster clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

demo: .venv/.installed
	$(BIN)/ppaudioldm generate "A big bell rings" --seed 1 --spectrogram -o output/demo.wav
	$(BIN)/ppaudioldm speak "Good evening everybody, welcome to London." --seed 1 --spectrogram -o output/speech.wav
	@echo "The sound is in output/demo.wav, the sentence in output/speech.wav; beside them .png, their spectrograms"

test: .venv/.installed-test
	$(PYTEST) $(ON_ALL_CORES) --durations=30 -m "not slow"

# Those that start and kill whole processes, or translate whole checkpoints.
slow: .venv/.installed-test
	$(PYTEST) $(ON_ALL_CORES) --durations=10 -m slow

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile docker/gpu.Dockerfile

parity: .venv/.installed-parity
	PPAUDIOLDM_FRAMEWORK=paddle $(PYTEST) $(ON_TWO) tests/parity
	PPAUDIOLDM_FRAMEWORK=torch $(PYTEST) $(ON_TWO) tests/parity
	PPAUDIOLDM_FRAMEWORK=torch $(PYTEST) $(ON_ALL_CORES) $(ON_ANY_FRAMEWORK)

# Real environments from the built wheel, one for each framework: gigabytes to download, minutes.
install-test: .venv/.installed-test
	$(BIN)/python -m pytest --durations=0 tests/environments

# Thousands of requests that the server's OpenAPI document allows, and that it does not: minutes.
schema: .venv/.installed-test
	PPAUDIOLDM_SCHEMA_CASES=60 $(PYTEST) -s tests/serving/test_openapi.py

# Clusters of Ray on this machine, workers and drivers killed: minutes. An environment of its own, since the clients of
# S3 hold other packages at older versions.
cluster: .venv/.installed-test .venv-cluster/.installed
	OMP_NUM_THREADS=1 .venv-cluster/bin/python -m pytest -p no:xdist -rs --durations=0 tests/on_ray

.venv-cluster/.installed: .venv/.made pyproject.toml
	$(BIN)/python -m venv --clear .venv-cluster
	.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test,cluster]"
	@touch $@

# Of the page. Root gets Debian's Chromium; where there is none, the tests are skipped, and say so.
browser: .venv/.installed-browser
	@command -v chromium chromium-browser google-chrome >/dev/null || [ "$$(id -u)" != 0 ] || \
		! command -v apt-get >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
	$(PYTEST) -rs tests/browser

clean:
	rm -rf .venv .venv-cluster output build dist *.egg-info .*_cache .hypothesis
	find ppaudioldm tests -name __pycache__ -exec rm -rf {} +

# Stamps, so that a second run installs nothing, and a changed pyproject.toml installs again.

.venv/.installed: .venv/.made pyproject.toml
	@echo "Installing ppaudioldm into .venv: a few minutes the first time, some 300 MB of downloads"
	@$(PIP) --editable ".[cpu,speech]"
	@touch $@

.venv/.installed-test: .venv/.made pyproject.toml
	@echo "Installing ppaudioldm and its tests into .venv: a few minutes the first time, some 300 MB of downloads"
	@$(PIP) --editable ".[test]"
	@touch $@ .venv/.installed

.venv/.installed-browser: .venv/.installed-test pyproject.toml
	@$(PIP) --editable ".[test,browser]"
	@touch $@

.venv/.installed-parity: .venv/.installed-test pyproject.toml
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make parity needs Python 3.11 or later: make clean, then make parity PYTHON=python3.11" >&2; exit 1; }
	@echo "Installing the references for tests/parity into .venv: PyTorch, transformers, diffusers"
	@$(PIP) --editable ".[test,parity]"
	@touch $@

.venv/.made:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.10 python); do \
		"$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { missing=$${missing:-$$python}; continue; }; \
		"$$python" -m venv --clear .venv && touch $@ && exit; \
		exit 1; \
	done; \
	if [ "$$missing" ]; then \
		echo "$$missing has no venv: install it (Debian, Ubuntu: apt install python3-venv) and run make again" >&2; \
	else \
		echo "No Python 3.10 to 3.13 found: install one, or name it with make PYTHON=/path/to/python" >&2; \
	fi; \
	exit 1
