# Everything starts here. Needs Python 3.11+, pip, venv and make; nothing else.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup run test check fix bench gates lock

help:
	@echo "make run    serve the observatory with demonstration data on http://127.0.0.1:8000 (PORT= is honoured)"
	@echo "make test   run every test, on SQLite with the embedded broker and on PostgreSQL with Redis where they answer"
	@echo "make check  format, lint, types, import contracts, migrations, templates"
	@echo "make fix    mend format and lint"
	@echo "make bench  measure; each figure beside its floor"
	@echo "make gates  the gates of trust, one line each with its figure; GATES=full make gates: full counts"

setup: .venv/.ready

.venv/.ready: requirements.lock requirements-uv.lock
	@echo "Setting up .venv …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed.")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements.lock requirements-uv.lock
	@$(BIN)/python manage.py check --fail-level ERROR >/dev/null
	@touch $@

run: setup
	@$(BIN)/python -m observatory.run

test: setup
	@$(BIN)/python -m tests.stands

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/mypy --strict cci/engine facts/disclosure facts/expressions facts/validation facts/instrument.py
	$(BIN)/lint-imports
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint templates --check --quiet
	$(BIN)/djlint templates --lint --quiet

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/djlint templates --reformat --quiet

bench: setup
	@$(BIN)/python -m bench

gates: setup
	@$(BIN)/python -m tests.gates

lock: setup
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --no-annotate --no-header -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --generate-hashes --no-annotate --no-header -o requirements-run.lock
