"""Modules that the settings name can be imported first, by any process: a circle would stop a worker, not the site."""

import subprocess
import sys
from pathlib import Path

import pytest

FIRST = ["rest_framework.views", "observatory.demo", "observatory.api.errors", "core.jobs.tasks", "cci.services"]


@pytest.mark.parametrize("module", FIRST)
def test_it_can_be_the_first_import(module):
    code = (
        f"import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; django.setup(); import {module}"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert answer.returncode == 0, answer.stderr[-600:]
