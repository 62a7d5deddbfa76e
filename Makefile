# Which Python to use, and where to serve: make test PYTHON=python3.12, make demo ADDR=127.0.0.1:9000
PYTHON ?= python3
ADDR ?= 127.0.0.1:8000

# Servers for the tests, besides SQLite. The tests create their own databases there.
POSTGRESQL_URL ?= postgres://postgres@127.0.0.1:5432/postgres
MARIADB_URL ?= mysql://root@127.0.0.1:3306/mysql
export POSTGRESQL_URL MARIADB_URL

PYTEST = .venv/bin/pytest --numprocesses auto --dist worksteal
SDKS = example_project/node_modules

.PHONY: help demo test two-nodes sites browser lint types docs reference matrix mutants bench messages lock audit dist clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: .venv/.example $(SDKS) ## set up the example site and serve it at ADDR
	.venv/bin/python -m example_project.local_secrets
	.venv/bin/python manage.py migrate --verbosity 0
	@.venv/bin/python manage.py setup_demo --address $(ADDR)
	.venv/bin/python manage.py runserver $(ADDR)

test: lint types browser ## lint, check types, and test: in Chromium, on each database that answers, on other sites
	@unset DATABASE_URL; $(PYTEST) --cov
	@$(call test_on,PostgreSQL,$(POSTGRESQL_URL))
	@$(call test_on,MariaDB,$(MARIADB_URL))

two-nodes: .venv/.development ## prove that two nodes behind nginx, as in deploy/, lose nothing
	@unset DATABASE_URL; deploy/two-nodes

sites: .venv/.development ## test the main paths on each site of tests/sites
	@unset DATABASE_URL; $(PYTEST) tests/test_sites.py

browser: .venv/.chromium $(SDKS) ## test the example site and Twilio's SDKs in Chromium
	@unset DATABASE_URL; $(PYTEST) --numprocesses 3 --ds=tests.browser.settings tests/browser

lint: .venv/.development ## check the style, and that imports point down only
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports --no-cache --no-logo

bench: .venv/.development ## measure what issuing costs; ROWS='issue start' measures a part
	.venv/bin/python -m benchmarks $(ROWS)

types: .venv/.development tests/node/node_modules $(SDKS) ## check the types of Python and of the JavaScript client
	.venv/bin/mypy
	tests/node/node_modules/.bin/tsc --project tests/node

docs: .venv/.development tests/node/node_modules ## build the docs as a site in build/docs, and check their links and spelling
	$(SPHINX) -b html docs build/docs/html
	tests/node/node_modules/.bin/cspell lint --no-progress --no-summary --config docs/cspell.json
	@if curl --silent --fail --head --max-time 10 --output /dev/null $(OUTSIDE); then \
		$(SPHINX) -b linkcheck docs build/docs/links; \
	else \
		echo 'SKIPPED: the links to other sites. $(OUTSIDE) does not answer.'; \
	fi
SPHINX = .venv/bin/python -m sphinx --quiet --nitpicky --fail-on-warning --keep-going -d build/docs/doctrees
OUTSIDE = https://docs.djangoproject.com/

reference: .venv/.development ## write what docs/reference has from the code
	.venv/bin/python -m docs.generate

messages: .venv/.development ## bring the translations up to date with the sources, and compile them
	.venv/bin/python -m supply.messages

matrix: .venv/.development tests/node/node_modules $(SDKS) ## test on each Python of noxfile.py that is installed, with each Django
	@PYENV_VERSION=$$(pyenv versions --bare 2> /dev/null | sort -Vr | paste -sd :) .venv/bin/nox

lock: .venv/.development ## pin what setup.cfg requires; OPTIONS=--upgrade takes the newest of everything
	$(LOCK) requirements/build.in --output-file requirements/build.txt
	$(LOCK) setup.cfg --all-extras --constraint requirements/build.txt --output-file requirements/development.txt
	$(LOCK) setup.cfg --extra example --constraint requirements/development.txt --output-file requirements/example.txt
	$(LOCK) setup.cfg --extra test --resolution lowest-direct --output-file requirements/lowest.txt

audit: .venv/.development ## ask the registries for known vulnerabilities of everything that is pinned
	.venv/bin/python -m supply.audit

dist: .venv/.development tests/node/node_modules ## build the wheel, sdist and npm package of the last commit, and try them out
	.venv/bin/python -m supply.dist

mutants: .venv/.development ## make small faults, one at a time, and see if the tests notice; MODULE=crypto tries one module
	.venv/bin/python -m tests.mutants $(MODULE)

clean: ## remove everything that make has made, except your data in var/
	rm -rf .venv .nox */node_modules tests/node/node_modules .coverage .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info

# 1: a name, 2: its DATABASE_URL
define test_on
export DJANGO_SETTINGS_MODULE=tests.settings DATABASE_URL='$(2)'; \
if answer=$$(.venv/bin/python -c '$(CONNECT)' 2>&1); then \
	echo 'The tests on $(1):'; $(PYTEST); \
else \
	echo 'SKIPPED: the tests on $(1). Could not connect:'; echo "$$answer" | tail -n 1; \
fi
endef
CONNECT = import django; django.setup(); \
	from django.db import connection; connection.ensure_connection()

%/node_modules: %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.venv/.chromium: .venv/.development
	.venv/bin/python -m tests.browser.chromium
	@touch $@

# Pins for each supported Python and system, with hashes and without addresses.
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--custom-compile-command 'make lock' $(OPTIONS)

# A new virtual environment for each version of Python, and what a file of requirements/ pins in it.
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.venv/.python$(PYTHON_VERSION):
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.%: .venv/.python$(PYTHON_VERSION) requirements/%.txt requirements/build.txt setup.cfg
	$(PIP) --require-hashes --requirement requirements/build.txt --requirement requirements/$*.txt
	@PYTHONWARNINGS=ignore $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check
