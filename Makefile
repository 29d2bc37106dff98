# The recipes of .ci/run one by one, in the environment that is active.
.PHONY: check test whole lint format types layers docs bench demo picture ci

check: lint types layers test  ## what a change has to pass

test:  ## the tests
	pytest

whole:  ## the tests with the long suites in full
	pytest -m "whole or not whole"

lint:  ## style and format, changing nothing
	ruff check .
	ruff format --check .

format:  ## put the format right
	ruff check --fix .
	ruff format .

types:  ## types of zenv
	mypy

layers:  ## who may import whom
	lint-imports

docs:  ## the pages that are made from the code
	python docs/make.py

bench:  ## speed, as ratios measured in one run
	python -m bench

demo:  ## all of it against a simulated Amazon
	zenv demo

picture:  ## record the picture of the README anew
	python docs/picture.py

ci:  ## everything from nothing, as on every push
	bash .ci/run
