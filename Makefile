PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help install demo tensorboard test test-slow test-thorough test-variant docs lint format types check ci site clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## install the package, editable, with all that the tests need
	$(PYTHON) -m pip install -e '.[dev]'

demo: ## train the default decoder on text that every Python brings along
	$(PYTHON) -m lightning_transformer

tensorboard: ## look at all runs below outputs/
	$(PYTHON) -m tensorboard.main --logdir outputs

test: ## the quick tests
	$(PYTHON) -m pytest

test-slow: ## the tests marked slow
	$(PYTHON) -m pytest -m slow

test-thorough: ## the tests marked thorough: many repetitions, before a release
	$(PYTHON) -m pytest -m thorough

test-variant: ## a variant's own test and its contracts: make test-variant GROUP=norm NAME=dyt
	$(PYTHON) -m tests.helpers.run_variant $(GROUP) $(NAME)

docs: ## write what is derived from options: README's table, docs/cards, what is refused
	$(PYTHON) -m tests.contracts.conformance.learn
	$(PYTHON) -m lightning_transformer.cards --table README.md --write docs/cards

lint: ## find faults and unformatted files
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check

format: ## format, and mend what can be mended by itself
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

types: ## check the type hints of the package
	$(PYTHON) -m mypy

check: lint types test ## all that a change must pass before it is proposed

ci: ## all checks in a fresh clone of HEAD and a fresh environment (takes minutes)
	.ci/run

site: ## build the documentation into site/ (needs the extra docs)
	$(PYTHON) -m mkdocs build --strict

clean: ## delete caches and build results; outputs/ stays as it is
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -type d -name __pycache__ -not -path './outputs/*' -not -path './.venv/*' -prune -exec rm -rf {} +
