# docs/config.md and CONTRIBUTING.md describe the targets. Without an environment, the CPU one is made first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
ENV := $(or $(wildcard .venv/.gpu),.venv/.cpu)
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
SNAKEMAKE := snakemake --profile profiles/local
# Trainings and evaluations are forked from a process that has imported TensorFlow.
PRELOAD := python -m mnist_hpc preload

PROFILE := profiles/slurm
# Keys that replace those of config.yaml.
KEYS = $(strip $(CONFIG) $(if $(SEEDS),max_seeds=$(SEEDS)))
ON_CLUSTER = snakemake --profile $(PROFILE) $(if $(KEYS),--config $(KEYS))
LEFT = python -m mnist_hpc orphans --profile $(PROFILE)
SET = $(if $(KEYS),--set $(KEYS))

.PHONY: FORCE env env-gpu demo run node report docs publish status clean doctor resume resources bench test test-all trust coverage audit slurm-playground lint lock
.DEFAULT_GOAL := demo

demo:
	@$(MAKE) --no-print-directory run CONFIG="dataset=digits max_seeds=1 max_epochs=10"

run: $(ENV)
	$(PRELOAD) $(SNAKEMAKE) $(if $(KEYS),--config $(KEYS))

node: $(ENV)
	python -m mnist_hpc node $(SET) --profile $(PROFILE) $(if $(GPUS),--gpus $(GPUS)) $(if $(SLOTS),--slots $(SLOTS)) \
		$(if $(MINUTES),--minutes $(MINUTES))

report: $(ENV)
	python -m mnist_hpc report $(SET)

status: $(ENV)
	python -m mnist_hpc status $(SET)

clean: $(ENV)
	python -m mnist_hpc clean $(SET) $(if $(YES),--yes)

doctor: $(ENV)
	python -m mnist_hpc doctor $(SET) --profile $(PROFILE) $(if $(WAIT),--wait $(WAIT))

resume: $(ENV)
	$(LEFT) $(if $(ORPHANS),--then $(ORPHANS)) $(if $(FORCE),--although-alive)
	$(ON_CLUSTER) --unlock
ifeq ($(ORPHANS),adopt)
	-$(ON_CLUSTER) --omit-from tabulate `$(LEFT) --files`
	$(LEFT) --then wait
endif
	$(ON_CLUSTER)

resources: $(ENV)
	python -m mnist_hpc resources $(SET) $(if $(GPUS),--gpus-per-node $(GPUS))

bench: $(ENV) .venv-peers/.done
	$(SNAKEMAKE) --config dataset=mnist -- results/mnist/data/train.h5
	python tests/benchmarks/bench.py $(if $(ONLY),--only $(ONLY))

env: .venv/.cpu

env-gpu: .venv/.gpu

# The fast tests.
test: $(ENV)
	pytest -n 2 --dist worksteal -m "not slow and not campaign" $(TESTS)

# All tests but the campaigns. With REQUIRE_SLURM=1 and REQUIRE_CHROMIUM=1 they fail instead of being skipped where
# these are not installed.
test-all: $(ENV)
	pytest -n 4 --dist worksteal -m "not campaign" $(TESTS)

slurm-playground: $(ENV)
	python tests/slurm/cluster.py

# The long campaigns: damaged files, kills, small jobs, and what seldom goes wrong on a cluster.
trust: $(ENV)
	FUZZ=100000 pytest -n 2 tests/workflow/test_fuzz.py
	KILLS=300 pytest tests/workflow/test_faults.py -k killed
	LOAD=2000 SLURM_LOAD=100 pytest -n 2 -s -m campaign $(TESTS)
	KILLS=20 pytest -n 2 tests/stages/test_train.py -k killed

coverage: $(ENV)
	pytest -n 3 --dist worksteal -m "not campaign" --cov --cov-report=term $(TESTS)

# Known vulnerabilities of what the lock files name; asks PyPI.
audit: $(ENV)
	uv tool run pip-audit --disable-pip --require-hashes -r requirements/cpu.lock

lint: $(ENV)
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow/rules
	mypy

# The lecture and the numbers of all pages, from the tables in docs/results.
docs: $(ENV)
	python docs/published.py $(FROM)
	cog -r -I docs README.md docs/benchmarks.md

# The same, after the tables and figures in results/ have replaced those in docs/.
publish:
	@$(MAKE) --no-print-directory docs FROM=results

lock: $(ENV)
	$(LOCK) pyproject.toml --extra cpu --extra dev -o requirements/cpu.lock
	$(LOCK) pyproject.toml --extra gpu --extra dev -o requirements/gpu.lock
	grep '^uv==' requirements/cpu.lock | cut -d' ' -f1 | $(LOCK) - -o requirements/uv.lock

.venv-peers/.done: requirements/peers.lock $(ENV)
	python -m venv --clear .venv-peers
	.venv-peers/bin/python -m pip install --quiet -r requirements/peers.lock
	touch $@

# With PYTHON=..., the environment is rebuilt if its Python is of another version.
.venv/.%: requirements/%.lock requirements/uv.lock requirements/install.sh pyproject.toml $(if $(PYTHON),FORCE)
	@requirements/install.sh $*
