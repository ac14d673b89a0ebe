"""A pytest plugin that sets up and takes down for tests of Django's own what its `runtests.py` does.

It runs in the folder `tests` of Django's source. `DJANGO_SUITE` names the parts to set up, with a space between.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable

import runtests  # type: ignore[import-not-found]  # Of Django's source.
from django.conf import settings
from django.test.utils import get_runner, setup_test_environment, teardown_test_environment

_undo: list[Callable[[], None]] = []


def pytest_configure() -> None:
    """Install the parts' applications, before their models are imported, and make the databases."""
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    _, state = runtests.setup_run_tests(0, None, None, os.environ["DJANGO_SUITE"].split())
    _undo.append(lambda: runtests.teardown_run_tests(state))
    setup_test_environment(debug=False)
    _undo.append(teardown_test_environment)
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    _undo.append(lambda: runner.teardown_databases(databases))


def pytest_unconfigure() -> None:
    """Take down what was set up."""
    while _undo:
        _undo.pop()()
