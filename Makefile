# `make` alone lists the commands.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The stock client of the Open Inference Protocol wants other versions than we do, so it has its own.
TRITONCLIENT := .venv-tritonclient
TRITONCLIENT_STAMP := $(TRITONCLIENT)/.installed
export UNDERSTUDY_DATA ?= $(abspath ../shared/data)
export YOLO_OFFLINE := 1
export YOLO_AUTOINSTALL := false

.DEFAULT_GOAL := help
.PHONY: help install demo serve tritonclient test test-quick test-images fuzz audit sbom bench-swap bench-distill bench-serve soak dashboards lint check format proto lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(TRITONCLIENT_STAMP): tests/tritonclient.lock
	test -x $(TRITONCLIENT)/bin/python || $(PYTHON) -m venv $(TRITONCLIENT)
	$(TRITONCLIENT)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/tritonclient.lock
	touch $@

install: $(STAMP) ## make the virtual environment (every other command does so by itself)

demo: $(STAMP) ## distil a student, archive it, serve it and swap it in under load
	$(BIN)/understudy demo

serve: $(STAMP) ## start TorchServe, the controller and the gateway
	$(BIN)/understudy serve

tritonclient: $(TRITONCLIENT_STAMP) ## make the stock V2 client's environment (`make test` does so by itself)

test: $(STAMP) $(TRITONCLIENT_STAMP) ## run every test, real servers and a real training included
	$(BIN)/python -m pytest

test-quick: $(STAMP) ## run the tests that start no server and train nothing
	$(BIN)/python -m pytest -m "not slow"

test-images: $(STAMP) ## build all three images for real and start each (root; 40 GB of free disk; 15 minutes)
	UNDERSTUDY_TEST_IMAGES="gateway worker distill" $(BIN)/python -m pytest tests/deploy/test_built_images.py

fuzz: $(STAMP) ## fuzz everything that comes in from outside, for long (4 minutes; writes bench/results/fuzz.json)
	$(BIN)/python -m tests.fuzz.fuzzing

audit: $(STAMP) ## look up every pinned package among PyPI's known vulnerabilities (needs PyPI)
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r requirements.lock

sbom: $(STAMP) ## list what is installed here in build/sbom.cdx.json (CycloneDX)
	$(BIN)/python -m distill_jobs.release.sbom build/sbom.cdx.json

bench-swap: $(STAMP) ## swaps under load, with kills, and TorchServe alone (resumable)
	$(BIN)/python -m bench.swap

bench-distill: $(STAMP) ## students with and without a teacher, over folds of BCCD (hours; resumable)
	$(BIN)/python -m bench.distill --jobs 2

bench-serve: $(STAMP) ## beside the bare loop, TorchServe alone and four other servers (hours; resumable)
	$(BIN)/python -m bench.serve

soak: $(STAMP) ## half an hour of load, swaps and faults: nothing grows, nothing else fails
	$(BIN)/python -m bench.soak

dashboards: $(STAMP) ## write Grafana's dashboards from deploy/dashboards/
	$(BIN)/python -m deploy.dashboards

lint: $(STAMP) ## style, types, imports between the islands
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test-quick ## lint, types, imports between the islands, quick tests

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(STAMP) ## generate the stubs from proto/**/*.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \
	  proto/wire/v1/*.proto proto/open_inference/v2/*.proto
	rm -f proto/wire/v1/card_pb2_grpc.py

lock: ## pin every dependency again (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --custom-compile-command "make lock" --quiet --upgrade --output-file requirements.lock
	uv pip compile tests/tritonclient.in --universal --python-version 3.11 \
	  --custom-compile-command "make lock" --quiet --upgrade --output-file tests/tritonclient.lock
	for peer in litserve bentoml ray; do \
	  uv pip compile bench/peers/$$peer/requirements.in --python-version 3.11 \
	    --custom-compile-command "make lock" --quiet --upgrade \
	    --output-file bench/peers/$$peer/requirements.lock || exit 1; \
	done
	uv pip compile bench/peers/triton/requirements.in --override bench/peers/triton/overrides.txt \
	  --python-version 3.11 --custom-compile-command "make lock" --quiet --upgrade \
	  --output-file bench/peers/triton/requirements.lock

clean: ## remove what was built and run here (the virtual environment stays)
	rm -rf runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis
