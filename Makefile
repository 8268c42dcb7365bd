# Everything happens in .venv, which the first target that needs it builds (tools/setup.sh).
.DEFAULT_GOAL := help
.PHONY: help install demo test format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

install: .venv/.installed ## .venv with pinned dependencies; nothing to do when it is up to date

.venv/.installed: pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh
	@touch $@

demo: .venv/.installed ## embedded data set, pre-training, evaluation: runs/demo
	.venv/bin/masksem-graph run demo --output runs/demo

test: .venv/.installed ## ruff, mypy, pytest
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2

format: .venv/.installed ## rewrite the code in the project's style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## remove .venv, builds and caches; runs/ and stores/ stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find masksem_graph tests -name __pycache__ -type d -prune -exec rm -rf {} +
