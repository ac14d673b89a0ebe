"""A pytest plugin that labels everything in a suite that is not ours: each field of each request, each column.

It runs in the environment of that suite, in mode `report`, with every integration whose library is there. `LABELLING`
says what differs from run to run, as JSON: whether anything is `labelled`; `packages` to rewrite; `sources`, functions
of which each answer is a field; `sinks`, functions that become sinks, and `use`, the purpose of these and of the zone
that each test runs in; `found`, the file for what was seen.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import wrapt

import taint
from taint.evidence.catalog import Catalog, catalog
from taint.evidence.lineage import Column
from taint.flows.outcome import listen
from taint.labels import Label, Labels
from taint.policy import Flow, Outcome

FIELDS, COLUMNS = "security.mfa", "security"

_settings: dict[str, Any] = json.loads(os.environ["LABELLING"])
_found: dict[str, set[str]] = {"fields": set(), "columns": set(), "internal errors": set()}
_flows = dict.fromkeys(Outcome, 0)


class EveryColumn(Catalog):
    """A catalog in which every column of every table was declared."""

    def __bool__(self) -> bool:
        """Tell that there are labelled columns."""
        return True

    def labels_of(self, column: Column, *, by_name: bool = True) -> Labels:
        """Give the label that every column has, besides what tables say of themselves."""
        own = Label(frozenset((COLUMNS,)), None, f"{column.table}.{column.name}")
        return super().labels_of(column, by_name=by_name) | Labels((own,))


def _note(flow: Flow) -> None:
    if flow.labels or flow.outcome is Outcome.VIOLATION:
        _flows[flow.outcome] += 1
    for one in flow.labels:
        _found["columns" if COLUMNS in one.purposes else "fields"].add(one.source or "")


class _Errors(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Note that the library failed; that it could not do something is no failure."""
        if record.levelno >= logging.ERROR:
            _found["internal errors"].add(record.getMessage())


def _declare(where: str, decorate: Callable[[Any], Any]) -> None:
    """Decorate a function as soon as the suite imports its module: some need settings for that."""
    module, _, name = where.partition(":")

    def put(owner: Any) -> None:
        *path, last = name.split(".")
        for step in path:
            owner = getattr(owner, step)
        setattr(owner, last, decorate(getattr(owner, last)))

    wrapt.register_post_import_hook(put, module)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Run each test in a zone; a request that it makes begins without one."""
    with taint.zone(_settings["use"]):
        return (yield)


def pytest_unconfigure() -> None:
    """Write down what was seen."""
    seen = {kind: sorted(found) for kind, found in _found.items()}
    flows = {"violations": _flows[Outcome.VIOLATION], "allowed": _flows[Outcome.ALLOWED]}
    Path(_settings["found"]).write_text(json.dumps({**flows, **seen}), encoding="utf-8")


logging.getLogger("taint").addHandler(_Errors())
listen(_note)
_collected = {"*": {"*": {"purpose": FIELDS}}} if _settings["labelled"] else {}
taint.configure(mode="report", policy={"collected": _collected}, known_values=True)
if _settings["labelled"]:
    catalog.__class__ = EveryColumn
taint.install(packages=_settings["packages"])
for _where in _settings["sources"] if _settings["labelled"] else ():
    _declare(_where, taint.source(purpose=FIELDS, name=_where))
for _where in _settings["sinks"]:
    _declare(_where, taint.sink(purpose=_settings["use"], name=_where))
