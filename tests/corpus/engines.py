"""What runs the corpus: an engine is what a program collects with, uses with and matches in.

An engine takes a value at collection, sees what reaches a use, and says afterwards whether it found a
leak. This library is one; the others show what is gained over less.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

import taint
from taint.evidence import KnownValues, set_known_values
from taint.testing import record

__all__ = ["ENGINES", "Engine", "PurposeTaint", "SubstringMatch"]

USE = "advertising.audiences"


def _take(*values: Any) -> None:
    """Use values as a sink does: lazy ones are taken item by item."""
    for value in values:
        if isinstance(value, Iterator):
            deque(value, maxlen=0)


class Engine(Protocol):
    """What a program runs on."""

    name: str

    def __enter__(self) -> Self:
        """Begin to watch."""

    def __exit__(self, *error: object) -> None:
        """Stop watching."""

    def collect(self, value: Any, purpose: str) -> Any:
        """Take a value where it enters, with what it is collected for."""

    def use(self, *values: Any) -> None:
        """Use values for advertising."""

    def zone(self) -> AbstractContextManager[object]:
        """Give the stretch of code that works for advertising."""

    def has_found(self) -> bool:
        """Tell whether a leak was found."""


class PurposeTaint:
    """This library with all its nets: rewritten programs, labels, zones, known values; in report mode."""

    name = "purpose-taint"

    @staticmethod
    def load(name: str) -> None:
        """Import a module of programs, rewritten."""
        taint.install(packages=[name])
        try:
            importlib.import_module(name)
        finally:
            taint.uninstall()

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        taint.install()
        self._stack.callback(set_known_values, set_known_values(KnownValues()))
        self._seen = self._stack.enter_context(record(mode="report"))
        self._sink = taint.sink(purpose=USE, name="corpus")(_take)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        taint.uninstall()

    def collect(self, value: Any, purpose: str) -> Any:
        return taint.label(value, purpose=purpose, source="corpus")

    def use(self, *values: Any) -> None:
        self._sink(*values)

    def zone(self) -> AbstractContextManager[object]:
        return taint.zone(USE)

    def has_found(self) -> bool:
        return bool(self._seen.violations)


class SubstringMatch:
    """No propagation: what was collected for another purpose is looked for, as it is, in what is used."""

    name = "substring match"

    def __enter__(self) -> Self:
        self._known: list[str] = []
        self._found = False
        return self

    def __exit__(self, *error: object) -> None:
        self._known.clear()

    def collect(self, value: Any, purpose: str) -> Any:
        if not purpose.startswith("advertising"):
            self._known.append(value if isinstance(value, str) else str(value))
        return value

    def use(self, *values: Any) -> None:
        text = json.dumps(values, default=_as_list)
        self._found |= any(known in text for known in self._known)

    def zone(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    def has_found(self) -> bool:
        return self._found


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, set | Iterator) else str(value)


class DdtraceIast:
    """The IAST of ddtrace, where it is installed: propagation in C++ and rewritten programs, without zones."""

    name = "ddtrace IAST"

    @staticmethod
    def load(name: str) -> None:
        """Import a module of programs as ddtrace's own loader does: rewritten."""
        from ddtrace.appsec._iast import _ast, enable_iast_propagation
        from ddtrace.appsec._iast._ast import ast_patching

        enable_iast_propagation()
        spec = importlib.util.find_spec(name)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        path, tree = ast_patching.astpatch_module(module)
        assert tree is not None, f"{_ast.__name__} did not rewrite {name}"
        exec(compile(tree, path, "exec"), module.__dict__)  # noqa: S102  # As its loader does.

    def __enter__(self) -> Self:
        from ddtrace.appsec._iast import _iast_request_context_base as context

        context._iast_start_request()
        self._found = False
        return self

    def __exit__(self, *error: object) -> None:
        from ddtrace.appsec._iast import _iast_request_context_base as context

        context._iast_finish_request()

    def collect(self, value: Any, purpose: str) -> Any:
        from ddtrace.appsec._iast._taint_tracking import OriginType
        from ddtrace.appsec._iast._taint_tracking._taint_objects import taint_pyobject

        return taint_pyobject(value, source_name=purpose, source_value=value, source_origin=OriginType.PARAMETER)

    def use(self, *values: Any) -> None:
        from ddtrace.appsec._iast._taint_tracking._taint_objects_base import get_tainted_ranges

        for leaf in _leaves(values):
            self._found |= any(not span.source.name.startswith("advertising") for span in get_tainted_ranges(leaf))

    def zone(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    def has_found(self) -> bool:
        return self._found


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for pair in value.items():
            yield from _leaves(pair)
    elif isinstance(value, list | tuple | set | Iterator):
        for item in value:
            yield from _leaves(item)
    elif hasattr(value, "__dict__"):
        yield from _leaves(vars(value))
    else:
        yield value


ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (PurposeTaint, SubstringMatch)}
if importlib.util.find_spec("ddtrace") is not None:
    ENGINES[DdtraceIast.name] = DdtraceIast
