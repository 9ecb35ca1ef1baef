# `make` without a target lists the targets.
.DEFAULT_GOAL := help
.PHONY: audit help setup setup-modern demo demo-slurm rehearse test test-slow test-modern test-slurm image-test bench lint lock clean

# make demo WORKERS=4, make test ARGS="-k fbank -x"
WORKERS ?= 2
ARGS ?=

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv: the pinned stack (Python 3.10, torch 1.13.1), linters and pytest; about 4 GB
	@docker/make_env.sh .venv 3.10 docker/requirements.lock docker/requirements-dev.lock

setup-modern:  ## make .venv-modern: a current stack (Python 3.11, CPU); about 2 GB
	@docker/make_env.sh .venv-modern 3.11 docker/requirements-modern.lock docker/torch-modern.txt

demo: setup  ## run the quickstart study on this machine and print its table
	.venv/bin/petl submit experiments/quickstart.yaml --local $(WORKERS)
	.venv/bin/petl table experiments/quickstart.yaml

# In its own runs folder, so that it trains again after `make demo`. Both tables must be the same.
demo-slurm: setup  ## run the same study on a temporary Slurm on this machine; needs root
	@set -e; petl=.venv/bin/petl; export PETL_RUNS=runs/devcluster; \
	if ! $$petl devcluster status >/dev/null 2>&1; then \
		trap "$$petl devcluster down" EXIT; trap 'exit 130' INT TERM; \
		$$petl devcluster up; \
	fi; \
	eval "$$($$petl devcluster env)"; \
	$$petl data prepare experiments/quickstart.yaml; \
	$$petl submit experiments/quickstart.yaml --cluster devcluster --yes; \
	$$petl status experiments/quickstart.yaml --watch; \
	$$petl table experiments/quickstart.yaml --out tables/quickstart-devcluster

SEEDS ?= 1 2 3
rehearse: setup  ## short runs on a real Slurm while jobs, nodes and daemons fail; needs root
	REHEARSAL_SEEDS="$(SEEDS)" .venv/bin/python -m pytest -m rehearsal -s -x tests/slurm/rehearsal

# One process per core, one thread each: models this small gain nothing from torch's threads.
PYTEST = -m pytest --numprocesses $(WORKERS) --dist loadfile
test test-slow test-modern test-slurm: export OMP_NUM_THREADS = 1

test: setup  ## run the everyday tests on the pinned stack; under 4 minutes on 2 cores
	.venv/bin/python $(PYTEST) $(ARGS)

test-slow: setup  ## run the tests that take more than three seconds each
	.venv/bin/python $(PYTEST) -m "slow and not slurm" $(ARGS)

test-modern: setup-modern  ## run the everyday tests on the current stack
	.venv-modern/bin/python $(PYTEST) $(ARGS)

test-slurm: setup  ## run the tests that start a Slurm of their own; needs root and Slurm's packages
	.venv/bin/python -m pytest -m slurm $(ARGS)

# Further options for the container engine: make image-test BUILD="--network host" RUN="--runtime runc"
BUILD ?=
RUN ?=
image-test: setup  ## build the image, run it isolated, compare its numbers with .venv's; about 10 minutes
	TAG=petl-ast:test docker/build.sh -- $(BUILD)
	docker/smoke_test.py petl-ast:test --compare .venv/bin/python -- $(RUN)

bench: setup  ## run the benchmarks (up to 100,000 runs and 10,000 jobs); ARGS=--quick for small ones
	.venv/bin/python -m benchmarks.features $(ARGS)
	.venv/bin/python -m benchmarks.memory $(ARGS)
	.venv/bin/python -m benchmarks.step $(ARGS)
	OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.loop $(ARGS)
	.venv/bin/python -m benchmarks.generators $(ARGS)
	.venv/bin/python -m benchmarks.scale $(ARGS)
	.venv/bin/python -m benchmarks.submit $(ARGS)

lint: setup  ## run ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy `.venv/bin/python tests/import_graph.py`

# Existing pins stay unless a .in file contradicts them; `make lock UPGRADE=1` takes the newest versions. The index is
# always PyPI, and uv's configuration is ignored, so that no mirror of this machine gets into the lock files. They are for
# the image's platform, not this machine's.
UV = .lockenv/bin/uv
COMPILE = $(UV) pip compile --quiet --no-config --index-url https://pypi.org/simple --only-binary :all: \
	--python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock:  ## rewrite docker/*.lock from docker/*.in, and environment.yml
	@python3 -m venv .lockenv && \
		.lockenv/bin/python -m pip install --quiet --require-hashes -r docker/uv.txt
	cd docker && ../$(COMPILE) --python-version 3.10 requirements.in -o requirements.lock
	cd docker && ../$(COMPILE) --python-version 3.10 requirements-dev.in -o requirements-dev.lock
	cd docker && ../$(COMPILE) --python-version 3.11 --override without-torch.txt requirements-modern.in -o requirements-modern.lock
	cd docker && ../$(COMPILE) --python-version 3.11 --extra train --extra analysis ../pyproject.toml \
		requirements-modern-cuda.in -o requirements-modern-cuda.lock
	cd docker && ../$(COMPILE) --python-version 3.10 requirements-audit.in -o requirements-audit.lock
	python3 docker/conda_twin.py
	@rm -rf .lockenv

audit:  ## known vulnerabilities of the locked packages, asked of the public databases; needs a network
	@python3 -m venv .lockenv && \
		.lockenv/bin/python -m pip install --quiet --require-hashes -r docker/requirements-audit.lock
	@for lock in requirements requirements-modern requirements-modern-cuda; do \
		printf '\n=== docker/%s.lock\n' "$$lock"; \
		.lockenv/bin/pip-audit --strict --disable-pip --require-hashes --requirement docker/$$lock.lock || failed=yes; \
	done; rm -rf .lockenv; [ -z "$$failed" ]

clean:  ## remove the environments and caches; keep runs/ and data/
	rm -rf .venv .venv.lock .venv-modern .venv-modern.lock .lockenv .python
	rm -rf .ruff_cache .mypy_cache .pytest_cache petl_ast.egg-info
