# Works from a fresh clone with Python 3.11 or later, make and a package
# registry that pip can reach. Everything is installed into .venv.
#
#   make PYTHON=python3.12 demo    uses another Python
#   make test TESTS="tests/client -k silence"    runs a part of the suite

PYTHON ?= python3
TESTS ?=
BENCHMARKS ?=
AUDIT ?=
MIC ?=
WEB ?=
IMAGE ?= streaming-speech

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
WEB_INSTALLED := $(VENV)/installed-web
ALL_INSTALLED := $(VENV)/installed-all
DEEPSPEECH_INSTALLED := $(VENV)/installed-deepspeech

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check format protos deepspeech bench audit sbom image mic web clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make the environment in .venv and install everything into it

# The stamp is written last, so that an interrupted installation is taken up again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is not Python 3.11 or later; name one with make PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make environments; on Debian and Ubuntu install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --constraint constraints.txt --editable '.[mic,dev]'
	@touch $@

$(WEB_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --constraint constraints.txt --editable '.[web]'
	@touch $@

# torch is large, and only the recognizers of transformers and their tests want it.
$(ALL_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --constraint constraints.txt --editable '.[mic,web,transformers,browser,bench,dev]'
	@touch $@

deepspeech: $(DEEPSPEECH_INSTALLED) ## Place the libraries of DeepSpeech and Coqui STT

# Their wheels are for Python 3.9 and older, so pip puts them beside site-packages; only
# the C libraries in them are used. The same as one command stands in docs/deepspeech.md.
PLACE := -m pip install --disable-pip-version-check --quiet --upgrade --no-deps \
  --only-binary=:all: --ignore-requires-python \
  --python-version 39 --implementation cp --abi cp39 --target $(VENV)/native
$(DEEPSPEECH_INSTALLED): $(INSTALLED)
	$(BIN)/python $(PLACE) --platform manylinux1_x86_64 deepspeech==0.9.3
	$(BIN)/python $(PLACE) --platform manylinux_2_24_x86_64 stt==1.4.0
	@touch $@

demo: setup ## Start the server and stream a recording to it, with live results
	@$(BIN)/python -m scripts.demo

# Where the libraries cannot be had, their tests skip and say so.
test: $(ALL_INSTALLED) ## Run the whole test suite
	@$(MAKE) --no-print-directory deepspeech || echo "make: going on without DeepSpeech"
	$(BIN)/python -m pytest --numprocesses 2 $(TESTS)

check: $(ALL_INSTALLED) ## Check format, lint, types, shell scripts and the contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run
	$(BIN)/buf lint protos
	$(BIN)/python -m scripts.protos breaking
	$(BIN)/python -m scripts.protos drift

format: setup ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: setup ## Generate the stubs anew
	$(BIN)/python -m scripts.protos generate

bench: setup ## Measure what the README's first table of figures states
	$(BIN)/python -m benchmarks $(BENCHMARKS)

mic: setup ## Talk to a running server through the microphone
	@$(BIN)/python -m client.mic $(MIC)

# AUDIT="--vulnerability-service osv --osv-url URL" asks a mirror instead of
# the package index's own advisories.
audit: setup ## Look for known vulnerabilities and dangerous code; needs the network
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --constraint constraints.txt --editable '.[audit]'
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive service client scripts
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt $(AUDIT)

sbom: setup ## Write what the image holds to sbom.cdx.json, and try the image without Docker
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
	  --constraint constraints.txt --editable '.[audit]'
	$(BIN)/python -m scripts.image_check --sbom sbom.cdx.json

web: $(WEB_INSTALLED) ## Open the browser demo, with a server of its own
	@$(BIN)/python -m client.web --embedded --open $(WEB)

image: ## Build the container image
	docker build --tag $(IMAGE) .

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
