"""The worked examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import cci.engine

MODULES = sorted(module.name for module in pkgutil.walk_packages(cci.engine.__path__, "cci.engine."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    module = importlib.import_module(name)

    failed, _ = doctest.testmod(module)

    assert failed == 0


def test_there_are_examples():
    modules = [importlib.import_module(name) for name in MODULES]
    finder = doctest.DocTestFinder(exclude_empty=True)

    examples = [test for module in modules for test in finder.find(module) if test.examples]

    assert len(examples) >= 80
