"""CPython's own suites for `str` and `bytes`, run on the carriers and held against a bare subclass.

A test that a bare `class Text(str)` fails (it asks for the exact type, or for the identical object) says nothing
about a carrier. Every other one must pass. The suites are imported from the interpreter's `test` package.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import sys
import types
import unittest
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from taint import ranges_of
from taint.carriers.text import TaintedBytes, TaintedStr
from taint.labels import Label, Labels

string_tests = pytest.importorskip(
    "test.string_tests",
    reason="this interpreter comes without CPython's tests; Debian has them in libpython3-testsuite",
)

LABELS = Labels([Label(frozenset({"security.mfa"}))])


class Text(str):  # noqa: SLOT000  # As users write it.
    """The least that a subclass of `str` can be."""


class Data(bytes):
    """The least that a subclass of `bytes` can be."""


def text_module() -> str:
    """Give the name of the module that tests `str`, which has been renamed in 3.13."""
    return "test.test_str" if importlib.util.find_spec("test.test_str") else "test.test_unicode"


class _Wrapping(ast.NodeTransformer):
    """Have every literal of a kind go through `WRAP`, so that tests of literals test the carrier."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is not self.kind:
            return node
        return ast.Call(ast.Name("WRAP", ast.Load()), [node], [])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)  # type: ignore[return-value]  # A statement stays one.


def wrapped_module(name: str, kind: type, wrap: type) -> types.ModuleType:
    """Import one of CPython's test modules with its literals as instances of another type."""
    original = importlib.import_module(name)
    tree = _Wrapping(kind).visit(ast.parse(inspect.getsource(original)))
    module = types.ModuleType(name)
    module.__dict__.update(__file__=original.__file__, WRAP=wrap)
    exec(compile(ast.fix_missing_locations(tree), original.__file__ or name, "exec"), module.__dict__)  # noqa: S102  # The interpreter's own tests.
    return module


def cases(module: types.ModuleType, kind: type) -> Iterator[type]:
    """Give the test classes of a module that test one kind of value."""
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, unittest.TestCase) and found.__module__ == module.__name__:
            tested = getattr(found, "type2test", kind)
            if issubclass(tested, kind) or found.__name__ == "UserStringTest":
                yield found


def on(case: type, native: type, tested: type) -> type:
    """Have a test class of CPython test another type."""
    attributes: dict[str, Any] = {}
    if hasattr(case, "basetype"):
        attributes = {"type2test": type("Subclass", (tested,), {}), "basetype": native}
    elif hasattr(case, "type2test"):
        attributes = {"type2test": tested}
    return type(case.__name__, (case,), attributes)


@contextmanager
def all_labelled() -> Iterator[None]:
    """Have every carrier that a suite makes be labelled."""
    with pytest.MonkeyPatch.context() as patch:
        for carrier in (TaintedStr, TaintedBytes):
            patch.setattr(carrier, "__new__", _labelling(carrier.__new__))
        yield


def _labelling(new: Callable[..., Any]) -> Callable[..., Any]:
    def __new__(cls: type, *args: Any, **kwargs: Any) -> Any:  # noqa: N807  # It stands for one.
        made = new(cls, *args, **kwargs)
        if made:
            object.__setattr__(made, "_coverage", LABELS)
        return made

    return __new__


def run(suites: list[type]) -> tuple[int, set[str]]:
    """Run test classes; give how many tests ran and the names of those that did not pass."""
    loader, result = unittest.TestLoader(), unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unittest.TestSuite(map(loader.loadTestsFromTestCase, suites)).run(result)
    return result.testsRun, {test.id().partition(".")[2] for test, _ in (*result.failures, *result.errors)}


EXCEPTED = {
    "test_raiseMemError": "it counts the bytes of an exact str in memory, and a labelled one is larger",
    "BytesSubclassTest.test_join": "it asks for exact bytes from joining what is labelled here",
}

SUITES = [
    pytest.param("test.test_userstring", str, False, id="string_tests as UserString"),
    pytest.param(text_module(), str, False, id="str"),
    pytest.param(text_module(), str, True, id="str, with every literal"),
    pytest.param("test.test_bytes", bytes, False, id="bytes"),
    pytest.param("test.test_bytes", bytes, True, id="bytes, with every literal"),
]


def outcome(name: str, native: type, literals: bool, tested: type) -> tuple[int, set[str]]:
    """Run one of CPython's modules on a type."""
    module = wrapped_module(name, native, tested) if literals else importlib.import_module(name)
    return run([on(case, native, tested) for case in cases(module, native)])


@functools.cache
def bare_outcome(name: str, native: type, literals: bool) -> tuple[int, set[str]]:
    """Run one of CPython's modules on a bare subclass."""
    return outcome(name, native, literals, Text if native is str else Data)


@pytest.mark.parametrize(("name", "native", "literals"), SUITES)
def test_suite(name: str, native: type, literals: bool) -> None:
    """A carrier passes every test of CPython's that a bare subclass of the same type passes."""
    bare_count, bare = bare_outcome(name, native, literals)
    with all_labelled():
        count, failed = outcome(name, native, literals, TaintedStr if native is str else TaintedBytes)
    sys.stdout.write(f"{name}: {count} tests; a bare subclass fails {len(bare)}, the carrier {len(failed)}\n")
    assert count == bare_count > 50
    assert {test for test in failed - bare if not any(name in test for name in EXCEPTED)} == set()


PADDING = {"center", "ljust", "rjust", "zfill"}


def uncovered(value: Any) -> int:
    """Count the characters without labels."""
    return len(value) - sum(stop - start for start, stop, _ in ranges_of(value))


def texts(value: object) -> Iterator[Any]:
    """Find the texts in what an operation took or gave."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


_FIXED = (str, bytes, list, tuple, dict, int, slice, float, type(None))


def watching(case: type, checked: Counter[str]) -> type:
    """Have `checkequal` of a suite look at the labels too: its receiver and its arguments are all labelled."""

    def checkequal(self: Any, result: object, obj: object, methodname: str, *args: Any, **kwargs: Any) -> None:
        result, obj, args = self.fixtype(result), self.fixtype(obj), self.fixtype(args)
        kwargs = {name: self.fixtype(value) for name, value in kwargs.items()}
        given = getattr(obj, methodname)(*args, **kwargs)
        assert result == given
        free = len(given) - len(obj) if methodname in PADDING and len(args) == 1 else 0  # type: ignore[arg-type]  # Texts.
        if not all(isinstance(arg, _FIXED) for arg in args):
            return  # A sequence of the suite's own, whose items stay plain.
        for text in texts(given):
            checked[methodname] += 1
            assert uncovered(text) == max(free, 0), f"{methodname} lost labels"

    return type(case.__name__, (case,), {"checkequal": checkequal})


@pytest.mark.parametrize(
    ("name", "native", "least"),
    [("test.test_userstring", str, 400), (text_module(), str, 400), ("test.test_bytes", bytes, 200)],
)
def test_suite_keeps_labels(name: str, native: type, least: int) -> None:
    """Whatever CPython's suites ask of a labelled value with labelled arguments, every character given is labelled."""
    carrier = TaintedStr if native is str else TaintedBytes
    module = importlib.import_module(name)
    checked: Counter[str] = Counter()
    _, expected = bare_outcome(name, native, literals=False)
    with all_labelled():
        watched = [
            watching(on(case, native, carrier), checked)
            for case in cases(module, native)
            if hasattr(case, "checkequal")
        ]
        _, failed = run(watched)
    sys.stdout.write(f"{name}: labels of {checked.total()} results of {len(checked)} methods\n")
    assert failed - expected == set()
    assert checked.total() >= least
